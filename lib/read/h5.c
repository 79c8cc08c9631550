/* SPDX-License-Identifier: Apache-2.0 */
/* Reading HDF5 that nobody vouches for: see h5.h. */
#include "lib/read/h5.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/read/h5_parts.h"

/* The innermost message of the library's error stack. */
static herr_t first_message(unsigned n, const H5E_error2_t *e, void *text) {
  if (n == 0 && e->desc) snprintf(text, 160, "%s", e->desc);
  return 0;
}

enum px_status px_h5_fail(const char *path, struct px_err *err, const char *what) {
  char text[160] = "no reason given";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_message, text);
  return px_fail_at(err, PX_E_BAD_DATA, path, "HDF5: %s%s%s%s (%s)", what, *path ? " '" : "", path,
                    *path ? "'" : "", text);
}

/* The library asks to copy and to free the file's image; the mapping is one for all. */
static void *image_malloc(size_t n, H5FD_file_image_op_t op, void *udata) {
  (void)n, (void)op;
  return udata;
}
static void *image_memcpy(void *dst, const void *src, size_t n, H5FD_file_image_op_t op,
                          void *udata) {
  (void)src, (void)n, (void)op, (void)udata;
  return dst;
}
static herr_t image_free(void *p, H5FD_file_image_op_t op, void *udata) {
  (void)p, (void)op, (void)udata;
  return 0;
}
static void *udata_copy(void *udata) { return udata; }
static herr_t udata_free(void *udata) {
  (void)udata;
  return 0;
}

void px_h5_prepare(void) {
  enum { PATH_MAX_BYTES = 512 };
  char folder[PATH_MAX_BYTES - 32], path[PATH_MAX_BYTES];
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  if (H5PLget(0, folder, sizeof folder) <= 0) return;
  snprintf(path, sizeof path, "%s/liblzf_filter.so", folder);
  /* Debian's plugin does not say that it needs liblzf. Both stay as long as the process. */
  if (!dlopen("liblzf.so.1", RTLD_NOW | RTLD_GLOBAL)) return;
  void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  const void *(*info)(void) = NULL;
  void *symbol = plugin ? dlsym(plugin, "H5PLget_plugin_info") : NULL;
  if (!symbol) return;
  memcpy(&info, &symbol, sizeof info);
  H5Zregister(info());
}

enum px_status px_h5_open(const void *bytes, size_t n, hid_t *file, struct px_err *err) {
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  H5PLset_loading_state(0); /* no filter plugins from disk */
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5FD_file_image_callbacks_t callbacks = { image_malloc, image_memcpy, NULL,         image_free,
                                            udata_copy,   udata_free,   (void *)bytes };
  hid_t opened = H5I_INVALID_HID;
  if (access >= 0 && H5Pset_fapl_core(access, 1 << 20, 0) >= 0 &&
      H5Pset_file_image_callbacks(access, &callbacks) >= 0 &&
      H5Pset_file_image(access, (void *)bytes, n) >= 0)
    /* a name only: the core driver opens nothing */
    opened = H5Fopen("/upload", H5F_ACC_RDONLY, access);
  const enum px_status status =
    opened < 0 ? px_h5_fail("", err, "this is not a complete HDF5 file") : PX_OK;
  H5Pclose(access);
  if (!status) *file = opened;
  return status;
}

/* One component of a path; `at` is the group, `path` names the place in errors. */
static enum px_status kind_at(hid_t at, const char *name, const char *path, enum px_h5_kind *kind,
                              struct px_err *err) {
  H5L_info_t link;
  H5O_info_t object;
  const htri_t exists = H5Lexists(at, name, H5P_DEFAULT);
  if (exists < 0) return px_h5_fail(path, err, "cannot look up");
  *kind = PX_H5_NONE;
  if (!exists) return PX_OK;
  if (H5Lget_info(at, name, &link, H5P_DEFAULT) < 0) return px_h5_fail(path, err, "cannot look up");
  if (link.type != H5L_TYPE_HARD)
    return px_fail_at(err, PX_E_BAD_DATA, path,
                      "'%s' is %s link; the data must be in the file itself", path,
                      link.type == H5L_TYPE_SOFT ? "a soft" : "an external");
  if (H5Oget_info_by_name2(at, name, &object, H5O_INFO_BASIC, H5P_DEFAULT) < 0)
    return px_h5_fail(path, err, "cannot open");
  if (object.type != H5O_TYPE_GROUP && object.type != H5O_TYPE_DATASET)
    return px_fail_at(err, PX_E_BAD_DATA, path, "'%s' is neither a group nor a dataset", path);
  *kind = object.type == H5O_TYPE_GROUP ? PX_H5_GROUP : PX_H5_DATASET;
  return PX_OK;
}

enum px_status px_h5_kind(hid_t file, const char *path, enum px_h5_kind *kind, struct px_err *err) {
  /* Step by step, since the library itself would follow any link on the way. */
  hid_t at = H5Gopen2(file, "/", H5P_DEFAULT);
  if (at < 0) return px_h5_fail("/", err, "cannot open");
  enum px_h5_kind found = PX_H5_GROUP;
  enum px_status status = PX_OK;
  for (const char *p = path; *p && found == PX_H5_GROUP && !status;) {
    char name[128];
    const size_t n = strcspn(p, "/");
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), p);
    p += n + (p[n] == '/');
    status = kind_at(at, name, path, &found, err);
    if (status || found != PX_H5_GROUP || !*p) {
      if (!status && *p) found = PX_H5_NONE; /* a dataset on the way */
      break;
    }
    const hid_t next = H5Gopen2(at, name, H5P_DEFAULT);
    if (next < 0) status = px_h5_fail(path, err, "cannot open");
    H5Gclose(at);
    at = next;
  }
  if (at >= 0) H5Gclose(at);
  if (!status) *kind = found;
  return status;
}

struct names {
  enum px_status (*each)(void *ctx, const char *name);
  void *ctx;
  enum px_status status;
};

static herr_t visit(hid_t group, const char *name, const H5L_info_t *info, void *ctx) {
  (void)group, (void)info;
  struct names *names = ctx;
  names->status = names->each(names->ctx, name);
  return names->status ? -1 : 0;
}

enum px_status px_h5_names(hid_t file, const char *path,
                           enum px_status (*each)(void *ctx, const char *name), void *ctx,
                           struct px_err *err) {
  struct names names = { each, ctx, PX_OK };
  const hid_t group = H5Gopen2(file, *path ? path : "/", H5P_DEFAULT);
  if (group < 0) return px_h5_fail(path, err, "cannot open");
  const herr_t done = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit, &names);
  H5Gclose(group);
  if (names.status) return px_fail_at(err, names.status, path, "too many members in '%s'", path);
  return done < 0 ? px_h5_fail(path, err, "cannot list") : PX_OK;
}
