/* SPDX-License-Identifier: Apache-2.0 */
/* LeRobot folders, of version 2.1 and 3.0, as tar and zip; and what is refused, by its place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/read/archive.h"
#include "tests/support/cu.h"
#include "tests/support/lerobots.h"

static const char DATA[] = "data/chunk-000/file-000.parquet";
static const char TABLE[] = "meta/episodes/chunk-000/file-000.parquet";

static void expect_both(int fd, const struct px_read_options *options) {
  struct trajs list = { .spaces = trajs_spaces(3, 1) };
  struct px_read_report report;
  struct px_err err;
  CU_OK(uploads_read(fd, PX_FORMAT_LEROBOT, options, &list, &report, &err), err);
  CU_ASSERT_STRING_EQUAL(report.layout, "lerobot");
  CU_ASSERT_EQUAL_FATAL(list.n, 2);
  const struct px_traj *t = list.items;
  const float first[] = { 0, 1, 0, 1, 0, 0.5F, 2, -1, 1 }, second[] = { 10, 1, 1.5F, 11, 0, 2 };
  CU_ASSERT(t[0].steps == 3 && t[1].steps == 2 && !t[0].has_final);
  CU_ASSERT(!memcmp(t[0].observations, first, sizeof first) &&
            !memcmp(t[1].observations, second, sizeof second));
  CU_ASSERT(t[0].terminated && !t[0].truncated && !t[1].terminated && t[1].truncated);
  CU_ASSERT(t[0].rewards[2] == 3 && t[1].rewards[1] == 5);
  if (!options || !options->ignore_actions) {
    CU_ASSERT(t[0].labelled[0] && !t[0].labelled[1] && t[0].labelled[2]);
    CU_ASSERT(t[0].actions[2] == 0.25F && t[1].actions[1] == 0.5F);
    CU_ASSERT_EQUAL(report.labelled_n, 4);
  } else CU_ASSERT(!t[0].actions && !t[1].actions);
  CU_ASSERT_EQUAL_FATAL(report.notes_n, 2);
  CU_ASSERT_PTR_NOT_NULL(strstr(report.notes[0], "observation.state, observation.force"));
  CU_ASSERT_PTR_NOT_NULL(strstr(report.notes[1], "left out: observation.images.top"));
  trajs_free(&list);
}

static void both_versions_are_read_from_tar_and_zip(void) {
  const struct px_read_options ignore = { .ignore_actions = true };
  const struct lerobots_rows rows = lerobots_rows();
  for (int version = 2; version <= 3; version++) {
    struct lerobots_folder folder;
    lerobots_fill(&folder, version, &rows);
    expect_both(lerobots_tar(&folder), NULL);
    expect_both(lerobots_zip(&folder, false), NULL);
    expect_both(lerobots_zip(&folder, true), NULL);
    expect_both(lerobots_tar(&folder), &ignore);
    lerobots_free(&folder);
  }
}

static void the_folder_may_lie_in_another_with_a_long_name(void) {
  const struct lerobots_rows rows = lerobots_rows();
  struct lerobots_folder folder;
  char before[200], name[300];
  lerobots_fill(&folder, 2, &rows);
  snprintf(before, sizeof before, "./%0150d/", 7);
  for (size_t i = 0; i < folder.n; i++) {
    snprintf(name, sizeof name, "%s%s", before, folder.files[i].name);
    memcpy(folder.files[i].name, name, sizeof name);
  }
  expect_both(lerobots_tar(&folder), NULL);
  expect_both(lerobots_zip(&folder, true), NULL);
  lerobots_free(&folder);
}

static void features_are_chosen_by_keys(void) {
  const struct lerobots_rows rows = lerobots_rows();
  const struct px_read_options keys = { .obs_keys_n = 2,
                                        .obs_keys = { "observation.force", "state" } };
  const struct px_read_options other = { .obs_keys_n = 1, .obs_keys = { "images.top" } };
  struct lerobots_folder folder;
  struct trajs list = { .spaces = trajs_spaces(3, 1) };
  struct px_err err;
  lerobots_fill(&folder, 3, &rows);
  CU_OK(uploads_read(lerobots_tar(&folder), PX_FORMAT_LEROBOT, &keys, &list, NULL, &err), err);
  const float first[] = { 0, 0, 1, 0.5F, 1, 0 };
  CU_ASSERT(!memcmp(list.items[0].observations, first, sizeof first));
  trajs_free(&list);
  CU_ASSERT(uploads_refused(lerobots_tar(&folder), PX_FORMAT_LEROBOT, &list.spaces, &other,
                            PX_E_BAD_DATA, "obs_keys", "no feature 'observation.images.top'"));
  lerobots_free(&folder);
}

/* Reads a folder that must be refused, and frees it. */
static bool refused(struct lerobots_folder *folder, const char *place, const char *words) {
  const struct px_spaces spaces = trajs_spaces(3, 1);
  const bool good = uploads_refused(lerobots_tar(folder), PX_FORMAT_LEROBOT, &spaces, NULL,
                                    PX_E_BAD_DATA, place, words);
  lerobots_free(folder);
  return good;
}

static void rows_out_of_place_are_refused_by_file_episode_and_frame(void) {
  struct lerobots_folder folder;
  struct lerobots_rows rows = lerobots_rows();
  rows.frame[1] = 2, rows.frame[2] = 3;
  lerobots_fill(&folder, 3, &rows);
  CU_ASSERT(refused(&folder, "data/chunk-000/file-000.parquet, episode 0, frame 1",
                    "the frame is missing; frame 2 follows"));
  rows = lerobots_rows(), rows.frame[2] = 1;
  lerobots_fill(&folder, 3, &rows);
  CU_ASSERT(refused(&folder, "episode 0, frame 2", "frame 1 is there again"));
  rows = lerobots_rows(), rows.episode[1] = 1, rows.episode[3] = 0; /* interleaved */
  lerobots_fill(&folder, 3, &rows);
  CU_ASSERT(refused(&folder, "episode 0, frame 1", "the row belongs to episode 1"));
  rows = lerobots_rows();
  lerobots_fill(&folder, 3, &rows);
  lerobots_put_rows(&folder, DATA, &rows, 0, 4);
  CU_ASSERT(refused(&folder, "episode 1, frame 1", "the file ends"));
  lerobots_fill(&folder, 2, &rows);
  lerobots_put_rows(&folder, "data/chunk-000/episode_000000.parquet", &rows, 0, 4);
  CU_ASSERT(refused(&folder, "data/chunk-000/episode_000000.parquet", "1 rows are left"));
  lerobots_fill(&folder, 2, &rows);
  lerobots_drop(&folder, "data/chunk-001/episode_000001.parquet");
  CU_ASSERT(
    refused(&folder, "data/chunk-001/episode_000001.parquet, episode 1", "not in the archive"));
  rows.frame[1] = 2; /* and a row less */
  lerobots_fill(&folder, 2, &rows);
  lerobots_put_rows(&folder, "data/chunk-000/episode_000000.parquet", &rows, 0, 2);
  CU_ASSERT(refused(&folder, "data/chunk-000/episode_000000.parquet, episode 0, frame 1",
                    "the frame is missing; frame 2 follows"));
  rows = lerobots_rows(), rows.done[0] = 2, rows.state[5] = 1e300;
  lerobots_fill(&folder, 3, &rows);
  CU_ASSERT(refused(&folder, "trajectory 0, step 2, observations", "not finite"));
}

static void a_frame_flagged_early_is_noted(void) {
  struct lerobots_folder folder;
  struct lerobots_rows rows = lerobots_rows();
  struct trajs list = { .spaces = trajs_spaces(3, 1) };
  struct px_read_report report;
  struct px_err err;
  rows.done[0] = 1;
  lerobots_fill(&folder, 3, &rows);
  CU_OK(uploads_read(lerobots_tar(&folder), PX_FORMAT_LEROBOT, NULL, &list, &report, &err), err);
  CU_ASSERT_PTR_NOT_NULL(strstr(report.notes[2], "1 episodes are flagged as done before"));
  trajs_free(&list);
  lerobots_free(&folder);
}

static void malformed_metadata_is_refused_by_its_file(void) {
  static const struct {
    const char *name, *text, *place, *words;
  } CASES[] = {
    { "meta/info.json", "{", "meta/info.json", "malformed JSON" },
    { "meta/info.json", "{\"codebase_version\": \"v1.6\"}", "codebase_version", "'v1.6'" },
    { "meta/info.json", "[]", "codebase_version", "'none'" },
    { "meta/info.json", "{\"codebase_version\": \"v3.0\"}", "data_path", "no data_path" },
    { "meta/info.json", "{\"codebase_version\": \"v3.0\", \"data_path\": \"x\", \"features\": {}}",
      "features", "declares observations of 3" },
    { "other/meta/info.json", "{}", "other/meta/info.json", "several folders" },
    { "meta/episodes/chunk-000/file-000.parquet", "PAR1",
      "meta/episodes/chunk-000/file-000.parquet", "no complete Parquet file" },
    { "data/chunk-000/file-000.parquet", "PAR1", "data/chunk-000/file-000.parquet",
      "no complete Parquet file" },
  };
  static const struct {
    const char *lines, *words;
  } LISTS[] = {
    { "{\"episode_index\": 0, \"length\": 3}\n", "declares 2 episodes, and meta/episodes lists 1" },
    { "{\"episode_index\": 0, \"length\": 3}\n{\"episode_index\": 0, \"length\": 3}\n", "twice" },
    { "{\"episode_index\": 0, \"length\": 3}\n{\"episode_index\": 1}\n", "line 2: there is no" },
    { "{\"episode_index\": 0, \"length\": 0}\n", "episode 0 has 0 frames" },
    { "{\"episode_index\": 0, \"length\": 100001}\n", "episode 0 has 100001 frames" },
    { "{\"episode_index\": -1, \"length\": 3}\n", "is -1" },
    { "{\"episode_index\": 0, \"length\"\n", "malformed JSON" },
  };
  struct lerobots_folder folder;
  const struct lerobots_rows rows = lerobots_rows();
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    lerobots_fill(&folder, 3, &rows);
    lerobots_put_text(&folder, CASES[i].name, CASES[i].text);
    CU_ASSERT(refused(&folder, CASES[i].place, CASES[i].words));
  }
  for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++) {
    lerobots_fill(&folder, 2, &rows);
    lerobots_put_text(&folder, "meta/episodes.jsonl", LISTS[i].lines);
    CU_ASSERT(refused(&folder, "meta/episodes", LISTS[i].words));
  }
  lerobots_fill(&folder, 3, &rows);
  lerobots_drop(&folder, TABLE);
  CU_ASSERT(refused(&folder, "meta/episodes/", "there is no 'meta/episodes/*/*.parquet'"));
  lerobots_fill(&folder, 3, &rows);
  lerobots_drop(&folder, "meta/info.json");
  CU_ASSERT(refused(&folder, "meta/info.json", "no LeRobot folder"));
}

/* info.json with a part of its text put in the place of another. */
static void fill_changed(struct lerobots_folder *folder, const char *from, const char *to) {
  const struct lerobots_rows rows = lerobots_rows();
  char text[4096];
  lerobots_fill(folder, 3, &rows);
  const char *whole = folder->files[0].body.data, *at = strstr(whole, from);
  CU_ASSERT_FATAL(at != NULL);
  snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
  lerobots_put_text(folder, "meta/info.json", text);
}
static bool info_refused(const char *from, const char *to, const char *place, const char *words) {
  struct lerobots_folder folder;
  fill_changed(&folder, from, to);
  return refused(&folder, place, words);
}

static void rewards_are_optional(void) {
  struct trajs list = { .spaces = trajs_spaces(3, 1) };
  struct px_read_report report;
  struct px_err err;
  struct lerobots_folder folder;
  fill_changed(&folder, "next.reward", "gain");
  CU_OK(uploads_read(lerobots_tar(&folder), PX_FORMAT_LEROBOT, NULL, &list, &report, &err), err);
  CU_ASSERT(list.n == 2 && !list.items[0].rewards && !list.items[1].rewards);
  CU_ASSERT(list.items[0].terminated && report.labelled_n == 4);
  trajs_free(&list);
  lerobots_free(&folder);
}

static void features_that_the_data_has_not_are_refused(void) {
  CU_ASSERT(info_refused("observation.force", "observation.torque", DATA,
                         "the column 'observation.torque' is missing"));
  CU_ASSERT(info_refused("\"next.done\": {\"dtype\": \"bool\", \"shape\": [1]}",
                         "\"next.done\": {\"dtype\": \"bool\", \"shape\": [2]}", "next.done",
                         "must have one"));
  CU_ASSERT(info_refused("\"action\": {\"dtype\": \"float32\", \"shape\": [1]}",
                         "\"action\": {\"dtype\": \"float32\", \"shape\": [2]}", "action",
                         "declares actions of 1"));
  CU_ASSERT(info_refused("\"action\": {\"dtype\": \"float32\"", "\"action\": {\"dtype\": \"video\"",
                         "action", "no row of numbers"));
  CU_ASSERT(info_refused("{chunk_index:03d}", "{chunk:03d}", "data_path", "malformed"));
  CU_ASSERT(info_refused("{chunk_index:03d}", "{chunk_index:03", "data_path", "malformed"));
  CU_ASSERT(info_refused("{chunk_index:03d}", "{chunk_index:999d}", "data_path", "malformed"));
  CU_ASSERT(info_refused("data/chunk-", "../../chunk-", "../../chunk-000/file-000.parquet",
                         "not in the archive"));
}

/* A tar of one entry and its successors. */
static enum px_status open_tar(const struct px_buf *tar, struct px_err *err) {
  struct px_archive *archive;
  const enum px_status status = px_archive_open(tar->data, tar->len, &archive, err);
  if (!status) px_archive_free(archive);
  return status;
}

static void archives_that_lie_are_refused(void) {
  struct px_buf tar = PX_BUF(1 << 20);
  struct px_err err = { 0 };
  static const char big[] = "20 size=99999999999\n", bad[] = "99 path=x\n", other[] = "7 pa=x\n";
  lerobots_tar_entry(&tar, "a", '0', "x", 1);
  CU_OK(open_tar(&tar, &err), err);
  lerobots_tar_entry(&tar, "./a", '0', "x", 1);
  CU_ASSERT(open_tar(&tar, &err) == PX_E_BAD_DATA &&
            strstr(err.message, "'a' is in the archive twice"));
  tar.len = 700; /* in the middle of an entry's block, which has no other */
  CU_OK(open_tar(&tar, &err), err);
  tar.len = 512;
  CU_ASSERT(open_tar(&tar, &err) == PX_E_BAD_DATA &&
            strstr(err.message, "ends before the 1 bytes"));
  static const struct {
    const char *record;
    const char *words;
  } RECORDS[] = { { big, "ends before the 99999999999 bytes" },
                  { bad, "malformed" },
                  { other, "" } };
  for (size_t i = 0; i < 3; i++) {
    tar.len = 0;
    lerobots_tar_entry(&tar, "pax", 'x', RECORDS[i].record, strlen(RECORDS[i].record));
    lerobots_tar_entry(&tar, "a", '0', "x", 1);
    const enum px_status status = open_tar(&tar, &err);
    CU_ASSERT(*RECORDS[i].words ? status == PX_E_BAD_DATA && strstr(err.message, RECORDS[i].words)
                                : !status);
  }
  tar.data[0] ^= 1; /* the checksum */
  CU_ASSERT(open_tar(&tar, &err) == PX_E_BAD_DATA && strstr(err.message, "no tar or zip"));
  const char gzip[] = "\x1f\x8b\x08";
  struct px_archive *archive;
  CU_ASSERT_EQUAL(px_archive_open(gzip, 3, &archive, &err), PX_E_BAD_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "Content-Encoding: gzip"));
  px_buf_free(&tar);
}

static void what_is_no_plain_file_is_named_only_when_it_is_needed(void) {
  struct lerobots_folder folder;
  struct px_buf tar = PX_BUF(1 << 20);
  const struct px_spaces spaces = trajs_spaces(3, 1);
  const struct lerobots_rows rows = lerobots_rows();
  lerobots_fill(&folder, 3, &rows);
  lerobots_tar_entry(&tar, "videos/link.mp4", '2', NULL, 0);
  for (size_t i = 0; i < folder.n; i++)
    lerobots_tar_entry(&tar, folder.files[i].name, '0', folder.files[i].body.data,
                       folder.files[i].body.len);
  expect_both(uploads_bytes(tar.data, tar.len), NULL);
  tar.len = 0;
  lerobots_tar_entry(&tar, "meta/", '5', NULL, 0);
  CU_ASSERT(uploads_refused(uploads_bytes(tar.data, tar.len), PX_FORMAT_LEROBOT, &spaces, NULL,
                            PX_E_BAD_DATA, "meta/info.json", "no LeRobot folder"));
  tar.len = 0;
  lerobots_tar_entry(&tar, "meta/info.json", '2', NULL, 0);
  CU_ASSERT(uploads_refused(uploads_bytes(tar.data, tar.len), PX_FORMAT_LEROBOT, &spaces, NULL,
                            PX_E_BAD_DATA, "meta/info.json", "it is a link"));
  px_buf_free(&tar);
  lerobots_free(&folder);
}

static void a_zip_that_unpacks_to_too_much_is_refused(void) {
  static char zeros[12 << 20];
  const struct px_spaces spaces = trajs_spaces(3, 1);
  const struct uploads_member bomb = { "meta/info.json", zeros, sizeof zeros, true };
  CU_ASSERT(uploads_refused(uploads_zip(&bomb, 1), PX_FORMAT_LEROBOT, &spaces, NULL, PX_E_BAD_DATA,
                            "meta/info.json", "200 times its size"));
}

CU_MAIN("read_lerobot", T(both_versions_are_read_from_tar_and_zip),
        T(the_folder_may_lie_in_another_with_a_long_name), T(features_are_chosen_by_keys),
        T(rows_out_of_place_are_refused_by_file_episode_and_frame),
        T(a_frame_flagged_early_is_noted), T(rewards_are_optional),
        T(malformed_metadata_is_refused_by_its_file), T(features_that_the_data_has_not_are_refused),
        T(archives_that_lie_are_refused), T(what_is_no_plain_file_is_named_only_when_it_is_needed),
        T(a_zip_that_unpacks_to_too_much_is_refused))
