/* SPDX-License-Identifier: Apache-2.0 */
/* export: the snapshot as one file for other programs, published as an artifact. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/crash.h"
#include "lib/base/fail.h"
#include "lib/base/scratch.h"
#include "lib/store/artifacts.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "lib/transfer/transfer.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"

static enum px_status publish(struct job *job, const char *path, enum px_write_format format,
                              struct px_err *err) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return px_fail_errno(err, "opening the export");
  char name[64], result[96];
  struct store_artifact artifact = { .name = name, .media_type = px_write_media_type(format) };
  snprintf(name, sizeof name, "dataset%s", px_write_suffix(format));
  enum px_status status = store_blob_put_fd(job->store, fd, &artifact.blob, err);
  close(fd);
  if (status) return status;
  snprintf(result, sizeof result, "{\"artifact\":\"%s\",\"size_bytes\":%llu}", name,
           (unsigned long long)artifact.blob.size_bytes);
  return store_artifacts_publish(job->store, &job->hold, &artifact, 1, result, err);
}

enum px_status job_export(struct job *job, struct px_err *err) {
  struct store_export what = { .segments_n = (uint32_t)job_spec_uint(job->spec, "segments", 0),
                               .version = job_inputs_version(job),
                               .about = !json_is_false(json_object_get(job->spec, "about")),
                               .label_set = job_spec_text(job->spec, "label_set") };
  struct store_dataset *dataset = malloc(sizeof *dataset);
  struct px_scratch scratch = { .fd = -1 };
  char path[PX_SCRATCH_PATH_MAX + 8];
  if (!dataset) return px_fail(err, PX_E_NO_MEMORY, "export");
  enum px_status status =
    store_dataset_get(job->store, job_spec_text(job->spec, "dataset"), dataset, err);
  if (!status)
    status = px_write_format_parse(job_spec_text(job->spec, "format"), &what.format, err);
  if (!status) status = px_write_which_parse(job_spec_text(job->spec, "actions"), &what.which, err);
  if (!status && !what.label_set && *dataset->label_set) what.label_set = dataset->label_set;
  if (!status) status = px_scratch_open(px_scratch_home(), &scratch, err);
  snprintf(path, sizeof path, "%s/export", scratch.path);
  PX_CRASH_POINT("export_file", "before");
  if (!status) status = transfer_export(job->store, dataset, &what, path, &job->progress, err);
  PX_CRASH_POINT("export_file", "after");
  if (!status) status = publish(job, path, what.format, err);
  px_scratch_close(&scratch);
  free(dataset);
  return status;
}
