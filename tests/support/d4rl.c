/* SPDX-License-Identifier: Apache-2.0 */
/* D4RL files as datasets: see d4rl.h. */
#include "tests/support/d4rl.h"

#include <fcntl.h>
#include <hdf5.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/mask.h"
#include "lib/data/segment.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/read.h"

static uint32_t width(hid_t file, const char *name) {
  hsize_t dims[2] = { 0, 0 };
  const hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = set < 0 ? set : H5Dget_space(set);
  if (space >= 0 && H5Sget_simple_extent_ndims(space) == 2)
    H5Sget_simple_extent_dims(space, dims, NULL);
  if (space >= 0) H5Sclose(space);
  if (set >= 0) H5Dclose(set);
  return (uint32_t)dims[1];
}

static void measure_spaces(const char *path, struct px_spaces *spaces) {
  const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  spaces->obs_dim = width(file, "observations");
  spaces->act_dim = width(file, "actions");
  for (uint32_t j = 0; j < spaces->act_dim; j++) spaces->act_low[j] = -1, spaces->act_high[j] = 1;
  H5Fclose(file);
}

static enum px_status take_segment(void *ctx, const struct px_segment *segment,
                                   struct px_err *err) {
  return px_dataset_builder_segment(ctx, segment->bytes, segment->size, err);
}

enum px_status d4rl_load(const char *path, struct px_dataset **out, struct px_err *err) {
  struct px_spaces *spaces = px_mem_calloc(1, sizeof *spaces);
  struct px_read_report report;
  if (!spaces) return px_fail(err, PX_E_NO_MEMORY, "no memory to read %s", path);
  measure_spaces(path, spaces);
  struct px_dataset_builder *dataset = px_dataset_builder_new(spaces);
  struct px_segment_builder *segments =
    dataset ? px_segment_builder_new(spaces, (struct px_segment_sink){ dataset, take_segment })
            : NULL;
  enum px_status status =
    segments ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "no memory to read %s", path);
  if (!status) {
    const struct px_traj_sink sink = px_segment_builder_traj_sink(segments);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    status = px_read_file(fd, PX_FORMAT_HDF5, path, NULL, spaces, &sink, &report, err);
    close(fd);
  }
  if (!status) status = px_segment_builder_end(segments, err);
  if (!status) status = px_dataset_builder_end(dataset, out, err);
  else px_dataset_builder_free(dataset);
  px_segment_builder_free(segments);
  free(spaces);
  return status;
}

enum px_status d4rl_hide(struct px_dataset *ds, double p, double q, uint64_t seed,
                         struct px_err *err) {
  const struct px_mask mask = { PX_MASK_COUPLED, p, q, seed };
  double *returns = px_mem_calloc(ds->traj_n, sizeof *returns);
  uint8_t *labelled = px_mem_calloc(ds->traj_n, 1), *keep = px_mem_calloc(ds->traj_n, 1);
  enum px_status status =
    returns && labelled && keep ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "no memory for a mask");
  for (uint32_t i = 0; i < ds->traj_n && !status; i++)
    returns[i] = px_dataset_return(ds, i), labelled[i] = 1;
  if (!status) status = px_mask_choose(&mask, returns, labelled, ds->traj_n, keep, err);
  if (!status) px_dataset_hide(ds, keep);
  free(returns), free(labelled), free(keep);
  return status;
}
