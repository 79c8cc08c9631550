/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5 uploads from strangers: what leaves the file, filters, and sizes that cost more than the
 * file says. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/h5.h"
#include "tests/support/cu.h"
#include "tests/support/samples.h"

static void fill_external_link(hid_t f) {
  samples_base(f);
  H5Lcreate_external("/etc/passwd", "/x", f, "actions", H5P_DEFAULT, H5P_DEFAULT);
}
static void fill_soft_link(hid_t f) {
  samples_base(f);
  H5Lcreate_soft("/observations", f, "next_observations", H5P_DEFAULT, H5P_DEFAULT);
}
static void fill_linked_group(hid_t f) {
  samples_minari_episode(f, 0, 0, 2);
  H5Lcreate_external("/tmp/other.h5", "/episode_0", f, "episode_1", H5P_DEFAULT, H5P_DEFAULT);
}
static void fill_external_storage(hid_t f) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_external(p, "/etc/hostname", 0, 40);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 2, NULL, p);
  H5Pclose(p);
}
static void fill_virtual(hid_t f) {
  const hsize_t dims[2] = { 5, 2 };
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, dims, NULL);
  H5Pset_virtual(p, space, "/tmp/other.h5", "/observations", space);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 2, NULL, p);
  H5Sclose(space);
  H5Pclose(p);
}
static hid_t packed; /* how the observations are packed */
static void fill_filtered(hid_t f) {
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 2, samples_obs, packed);
  uploads_floats(f, "rewards", 5, 0, samples_rew);
  uploads_bools(f, "terminals", 5, samples_term);
}
static hid_t chunked(void) {
  const hsize_t chunk[2] = { 3, 2 };
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(p, 2, chunk);
  return p;
}
static bool packed_is_read(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err;
  const enum px_status status = samples_read(fill_filtered, NULL, &list, NULL, &err);
  const bool same = !status && list.n == 2 &&
                    !memcmp(list.items[0].observations, samples_obs, 4 * sizeof *samples_obs);
  trajs_free(&list);
  H5Pclose(packed);
  return same;
}
enum { LZF = 32000, LZF_ROWS = 512 };
static float lzf_obs[LZF_ROWS][2];
static hsize_t lzf_stored_bytes;
static void fill_lzf(hid_t f) {
  static const float rewards[LZF_ROWS];
  static const uint8_t none[LZF_ROWS];
  const hsize_t chunk[2] = { LZF_ROWS, 2 };
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(p, 2, chunk);
  H5Pset_filter(p, LZF, H5Z_FLAG_MANDATORY, 0, NULL);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, LZF_ROWS, 2, lzf_obs, p);
  H5Pclose(p);
  const hid_t set = H5Dopen2(f, "observations", H5P_DEFAULT);
  H5Dflush(set);
  lzf_stored_bytes = H5Dget_storage_size(set);
  H5Dclose(set);
  uploads_floats(f, "rewards", LZF_ROWS, 0, rewards);
  uploads_bools(f, "terminals", LZF_ROWS, none);
}
static void lzf_is_read(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  struct px_err err = { 0 };
  for (int i = 0; i < LZF_ROWS; i++) lzf_obs[i][0] = (float)(i / 16), lzf_obs[i][1] = -1;
  px_h5_prepare();
  if (H5Zfilter_avail(LZF) <= 0)
    CU_FAIL_FATAL("the plugin of lzf is missing: deploy/install-deps.sh installs it");
  CU_OK(samples_read(fill_lzf, NULL, &list, NULL, &err), err);
  /* so it was packed */
  CU_ASSERT(lzf_stored_bytes > 0 && lzf_stored_bytes < sizeof lzf_obs / 2);
  CU_ASSERT_EQUAL_FATAL(list.n, 1);
  CU_ASSERT(!memcmp(list.items[0].observations, lzf_obs, sizeof lzf_obs));
  trajs_free(&list);
}
static void without_its_plugin_lzf_is_refused_with_a_way_out(void) {
  struct trajs list = { .spaces = trajs_spaces(2, 1) };
  const struct px_traj_sink sink = trajs_sink(&list);
  const struct px_read_options defaults = { 0 };
  struct px_read_report report = { 0 };
  struct px_err err = { 0 };
  size_t n;
  px_h5_prepare();
  const int fd = uploads_hdf5(fill_lzf);
  char *bytes = uploads_contents(fd, &n);
  close(fd);
  /* so it is read here, not in a helper, which would load it again */
  CU_ASSERT_FATAL(H5Zunregister(LZF) >= 0);
  struct px_reader r = {
    .options = &defaults, .spaces = &list.spaces, .sink = &sink, .report = &report, .file_bytes = n
  };
  CU_ASSERT_EQUAL(px_read_hdf5(&r, bytes, n, &err), PX_E_BAD_DATA);
  CU_ASSERT(strstr(err.message, "(lzf)") && strstr(err.hint, "h5repack"));
  free(bytes);
  trajs_free(&list);
}
static void other_filters_are_read(void) {
  packed = chunked();
  H5Pset_scaleoffset(packed, H5Z_SO_FLOAT_DSCALE, 3);
  CU_ASSERT(packed_is_read());
  packed = chunked();
  H5Pset_szip(packed, H5_SZIP_NN_OPTION_MASK, 2);
  CU_ASSERT(packed_is_read());
}
static void fill_filter(hid_t f) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[2] = { 5, 2 };
  H5Pset_chunk(p, 2, chunk);
  H5Pset_nbit(p);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 5, 2, samples_obs, p);
  H5Pclose(p);
}
static void fill_strings(hid_t f) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  uploads_put(f, "observations", type, type, 5, 2, NULL, H5P_DEFAULT);
  H5Tclose(type);
}
static void fill_references(hid_t f) {
  uploads_put(f, "observations", H5T_STD_REF_OBJ, H5T_STD_REF_OBJ, 5, 2, NULL, H5P_DEFAULT);
}
static void what_leaves_the_file_is_refused_before_reading(void) {
  CU_ASSERT(samples_refused(fill_external_link, PX_E_BAD_DATA, "actions", "an external link"));
  CU_ASSERT(samples_refused(fill_soft_link, PX_E_BAD_DATA, "next_observations", "a soft link"));
  CU_ASSERT(samples_refused(fill_linked_group, PX_E_BAD_DATA, "episode_1", "an external link"));
  CU_ASSERT(
    samples_refused(fill_external_storage, PX_E_BAD_DATA, "observations", "in another file"));
  CU_ASSERT(samples_refused(fill_virtual, PX_E_BAD_DATA, "observations", "virtual dataset"));
  CU_ASSERT(samples_refused(fill_filter, PX_E_BAD_DATA, "observations", "HDF5 filter 5"));
  CU_ASSERT(samples_refused(fill_strings, PX_E_BAD_DATA, "observations", "plain numbers"));
  CU_ASSERT(samples_refused(fill_references, PX_E_BAD_DATA, "observations", "plain numbers"));
}

static void fill_bomb(hid_t f) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[2] = { 100000, 2 };
  H5Pset_chunk(p, 2, chunk);
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 2000000, 2, NULL, p);
  H5Pclose(p);
}
static void fill_giant_chunk(hid_t f) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[2] = { 100000000, 2 }, most[2] = { H5S_UNLIMITED, 2 }, dims[2] = { 5, 2 };
  H5Pset_chunk(p, 2, chunk);
  const hid_t space = H5Screate_simple(2, dims, most);
  H5Dclose(H5Dcreate2(f, "observations", H5T_IEEE_F32LE, space, H5P_DEFAULT, p, H5P_DEFAULT));
  H5Sclose(space);
  H5Pclose(p);
}
static void fill_wide_row(hid_t f) {
  uploads_put(f, "observations", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, 5000, NULL, H5P_DEFAULT);
}
static void sizes_are_limited_before_reading(void) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  const struct px_read_options small = { .max_logical_bytes = 50 };
  CU_ASSERT(samples_refused(fill_bomb, PX_E_TOO_LARGE, "observations", "more than 100 times"));
  CU_ASSERT(
    samples_refused(fill_giant_chunk, PX_E_TOO_LARGE, "observations", "chunks of more than"));
  CU_ASSERT(samples_refused(fill_wide_row, PX_E_BAD_DATA, "observations", "5000 columns"));
  CU_ASSERT(uploads_refused(uploads_hdf5(samples_d4rl), PX_FORMAT_HDF5, &spaces, &small,
                            PX_E_TOO_LARGE, "actions", "more than 50 bytes"));
}

/* A column of zeros in one gzip chunk. */
static void put_one_chunk(hid_t f, const char *name, hid_t type, hsize_t rows, hsize_t chunk_rows,
                          bool twice) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[1] = { chunk_rows }, most[1] = { H5S_UNLIMITED };
  H5Pset_chunk(p, 1, chunk);
  H5Pset_deflate(p, 1);
  if (twice) H5Pset_deflate(p, 1);
  const hid_t space = H5Screate_simple(1, &rows, most),
              set = H5Dcreate2(f, name, type, space, H5P_DEFAULT, p, H5P_DEFAULT);
  void *zeros = calloc(rows, 8);
  H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros);
  free(zeros);
  H5Dclose(set);
  H5Sclose(space);
  H5Pclose(p);
}
enum { LONG_ROWS = 9 << 20 }; /* 72 MiB of observations, unpacked */
static void fill_huge_chunks(hid_t f) {
  put_one_chunk(f, "observations", H5T_IEEE_F64LE, LONG_ROWS, LONG_ROWS, false);
  put_one_chunk(f, "rewards", H5T_IEEE_F32LE, LONG_ROWS, LONG_ROWS, false);
  uint8_t *ends = calloc(LONG_ROWS, 1);
  for (int i = 65535; i < LONG_ROWS; i += 65536) ends[i] = 1;
  uploads_bools(f, "terminals", LONG_ROWS, ends);
  free(ends);
}

/* Unpacked again for every 256 KiB that are read of it, each chunk would take a hundred times the
 * helper's time. */
static void a_chunk_is_unpacked_once_whatever_its_size(void) {
  struct trajs list = { .spaces = trajs_spaces(1, 1) };
  struct px_err err;
  CU_OK(samples_read(fill_huge_chunks, NULL, &list, NULL, &err), err);
  CU_ASSERT_EQUAL(list.n, LONG_ROWS / 65536);
  trajs_free(&list);
}

static void fill_far_chunk(hid_t f) {
  put_one_chunk(f, "observations", H5T_IEEE_F64LE, 10, 20 << 20, false);
  uploads_floats(f, "rewards", 5, 0, samples_rew);
  uploads_bools(f, "terminals", 5, samples_term);
}
static void fill_twice_packed(hid_t f) {
  put_one_chunk(f, "observations", H5T_IEEE_F64LE, 10, 10, true);
  uploads_floats(f, "rewards", 5, 0, samples_rew);
  uploads_bools(f, "terminals", 5, samples_term);
}
/* Nothing of it is written, so the file is small. */
static void put_bare(hid_t f, const char *name, hsize_t cols) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t dims[2] = { 1 << 20, cols }, chunk[2] = { 1 << 20, 1 };
  H5Pset_chunk(p, 2, chunk);
  const hid_t space = H5Screate_simple(2, dims, NULL);
  H5Dclose(H5Dcreate2(f, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, p, H5P_DEFAULT));
  H5Sclose(space);
  H5Pclose(p);
}
static void fill_many_huge_chunks(hid_t f) {
  put_bare(f, "observations", 200);
  put_bare(f, "next_observations", 200);
  put_bare(f, "rewards", 1);
  put_bare(f, "terminals", 1);
}

static void chunks_that_cost_more_than_the_array_are_limited(void) {
  const struct px_spaces one = trajs_spaces(1, 1), wide = trajs_spaces(200, 1);
  const struct px_read_options any_ratio = { .max_ratio = UINT32_MAX };
  CU_ASSERT_TRUE(
    uploads_refused(uploads_hdf5(fill_far_chunk), PX_FORMAT_HDF5, &one, NULL, PX_E_TOO_LARGE,
                    "observations",
                    "with the chunks of 'observations' the arrays unpack to more than 100 times"));
  CU_ASSERT_TRUE(uploads_refused(uploads_hdf5(fill_twice_packed), PX_FORMAT_HDF5, &one, NULL,
                                 PX_E_BAD_DATA, "observations", "packed with HDF5 filter 1 twice"));
  CU_ASSERT_TRUE(uploads_refused(uploads_hdf5(fill_many_huge_chunks), PX_FORMAT_HDF5, &wide,
                                 &any_ratio, PX_E_TOO_LARGE, "next_observations",
                                 "chunks so large that more than 1024 MiB"));
}

/* A million trajectories of one step each, in a few kB. */
static void fill_one_step_each(hid_t f) {
  enum { N = 1000000 };
  put_one_chunk(f, "observations", H5T_IEEE_F32LE, N, N, false);
  put_one_chunk(f, "rewards", H5T_IEEE_F32LE, N, N, false);
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk[1] = { N };
  H5Pset_chunk(p, 1, chunk);
  H5Pset_deflate(p, 1);
  uint8_t *ends = malloc(N);
  memset(ends, 1, N);
  uploads_put(f, "terminals", H5T_STD_U8LE, H5T_NATIVE_UINT8, N, 0, ends, p);
  free(ends);
  H5Pclose(p);
}

static void a_trajectory_has_its_cost_however_short(void) {
  const struct px_spaces one = trajs_spaces(1, 1);
  CU_ASSERT_TRUE(
    uploads_refused(uploads_hdf5(fill_one_step_each), PX_FORMAT_HDF5, &one, NULL, PX_E_TOO_LARGE,
                    "trajectory ",
                    "each counting as 256 bytes, the arrays unpack to more than 100 times"));
}

static void a_cut_file_is_refused(void) {
  const struct px_spaces spaces = trajs_spaces(2, 1);
  const int fd = uploads_hdf5(samples_d4rl);
  size_t n;
  char *bytes = uploads_contents(fd, &n);
  close(fd);
  for (size_t keep = 8; keep < n; keep = keep * 2 + 1)
    CU_ASSERT(uploads_refused(uploads_bytes(bytes, keep), PX_FORMAT_HDF5, &spaces, NULL,
                              PX_E_BAD_DATA, "", "HDF5"));
  CU_ASSERT(uploads_refused(uploads_text("not HDF5"), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA,
                            "", "not a complete HDF5"));
  CU_ASSERT(
    uploads_refused(uploads_text(""), PX_FORMAT_HDF5, &spaces, NULL, PX_E_BAD_DATA, "", "empty"));
  free(bytes);
}

CU_MAIN("read_hdf5_hostile", T(other_filters_are_read), T(lzf_is_read),
        T(without_its_plugin_lzf_is_refused_with_a_way_out),
        T(what_leaves_the_file_is_refused_before_reading), T(sizes_are_limited_before_reading),
        T(a_chunk_is_unpacked_once_whatever_its_size),
        T(chunks_that_cost_more_than_the_array_are_limited),
        T(a_trajectory_has_its_cost_however_short), T(a_cut_file_is_refused))
