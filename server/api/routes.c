/* The route table: everything this server answers. What is not here does not exist. */
#include "server/api/api.h"

/* no stream, no headers of its own */
#define PLAIN NULL, NULL
#define JOB_FILTER "dataset kind state parent before limit"

const struct http_route API_ROUTES[] = {
  /* method, path, operation, query, access, body, lane, handler, stream, headers */
  { "GET", "/", "index", NULL, HTTP_OPEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_index, PLAIN },
  { "GET", "/healthz", "healthz", NULL, HTTP_OPEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_healthz, PLAIN },
  { "GET", "/readyz", "readyz", NULL, HTTP_OPEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_readyz, PLAIN },
  { "GET", "/version", "version", NULL, HTTP_OPEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_version, PLAIN },
  { "GET", "/openapi.json", "openapi", NULL, HTTP_OPEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_openapi, PLAIN },
  { "GET", "/metrics", "metrics", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_metrics, PLAIN },

  { "POST", "/v1/datasets", "createDataset", NULL, HTTP_TOKEN, HTTP_JSON, HTTP_SUBMIT, api_dataset_create, PLAIN },
  { "GET", "/v1/datasets", "listDatasets", "after limit", HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_dataset_list, PLAIN },
  { "GET", "/v1/datasets/{dataset}", "getDataset", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_dataset_get, PLAIN },
  { "DELETE", "/v1/datasets/{dataset}", "deleteDataset", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_SUBMIT, api_dataset_delete, PLAIN },
  { "POST", "/v1/datasets/{dataset}/trajectories", "uploadTrajectories", "format filename ignore_actions obs_keys on_duplicate async",
    HTTP_TOKEN, HTTP_STREAM, HTTP_READ, api_upload, &API_UPLOAD_STREAM, NULL },
  { "GET", "/v1/datasets/{dataset}/trajectories", "listTrajectories", "from limit", HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE,
    api_trajectory_list, PLAIN },
  { "GET", "/v1/datasets/{dataset}/trajectories/{n}", "getTrajectory", "label_set", HTTP_TOKEN, HTTP_NO_BODY, HTTP_SEND,
    api_trajectory_get, PLAIN },
  { "GET", "/v1/datasets/{dataset}/export", "exportDataset", "format actions label_set", HTTP_TOKEN, HTTP_NO_BODY, HTTP_SEND,
    api_export, PLAIN },

  { "OPTIONS", "/v1/uploads", "discoverUploads", NULL, HTTP_OPEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_tus_options, NULL,
    API_TUS_HEADERS },
  { "POST", "/v1/uploads", "createUpload", NULL, HTTP_TOKEN, HTTP_STREAM, HTTP_STORE, api_tus_create, &API_TUS_CREATE,
    API_TUS_HEADERS },
  { "PATCH", "/v1/uploads/{upload}", "appendUpload", NULL, HTTP_TOKEN, HTTP_STREAM, HTTP_STORE, api_tus_append, &API_TUS_APPEND,
    API_TUS_HEADERS },
  { "GET", "/v1/uploads/{upload}", "getUpload", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_tus_get, NULL, API_TUS_HEADERS },
  { "DELETE", "/v1/uploads/{upload}", "deleteUpload", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_SUBMIT, api_tus_delete, NULL,
    API_TUS_HEADERS },

  { "POST", "/v1/pipelines", "createPipeline", "dry_run dedupe_key", HTTP_TOKEN, HTTP_JSON, HTTP_SUBMIT, api_pipeline_create, PLAIN },
  { "POST", "/v1/jobs", "createJob", "dry_run dedupe_key", HTTP_TOKEN, HTTP_JSON, HTTP_SUBMIT, api_job_create, PLAIN },
  { "GET", "/v1/jobs", "listJobs", JOB_FILTER, HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_job_list, PLAIN },
  { "GET", "/v1/jobs/{job}", "getJob", "wait", HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_job_get, PLAIN },
  { "DELETE", "/v1/jobs/{job}", "deleteJob", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_SUBMIT, api_job_delete, PLAIN },
  { "POST", "/v1/jobs/{job}:cancel", "cancelJob", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_SUBMIT, api_job_cancel, PLAIN },
  { "POST", "/v1/jobs/{job}:retry", "retryJob", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_SUBMIT, api_job_retry, PLAIN },
  { "GET", "/v1/jobs/{job}/events", "listJobEvents", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_job_events, PLAIN },
  { "GET", "/v1/jobs/{job}/metrics", "listJobMetrics", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_job_metrics, PLAIN },
  { "GET", "/v1/jobs/{job}/checkpoint", "getCheckpoint", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_SEND, api_job_checkpoint, NULL, NULL },
  { "GET", "/v1/jobs/{job}/artifacts", "listArtifacts", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_job_artifacts, PLAIN },
  { "GET", "/v1/jobs/{job}/artifacts/{name}", "getArtifact", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_SEND, api_job_artifact, PLAIN },

  { "GET", "/v1/label_sets", "listLabelSets", "dataset before limit", HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_label_set_list, PLAIN },
  { "GET", "/v1/label_sets/{label_set}", "getLabelSet", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_label_set_get, PLAIN },
  { "GET", "/v1/models", "listModels", "dataset role before limit", HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_model_list, PLAIN },
  { "GET", "/v1/models/{model}", "getModel", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_model_get, PLAIN },
  { "DELETE", "/v1/models/{model}", "deleteModel", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_SUBMIT, api_model_delete, PLAIN },
  { "GET", "/v1/models/{model}/weights", "getModelWeights", "format", HTTP_TOKEN, HTTP_NO_BODY, HTTP_SEND, api_model_weights,
    PLAIN },
  { "POST", "/v1/simulators", "createSimulator", NULL, HTTP_TOKEN, HTTP_JSON, HTTP_READ, api_simulator_create, PLAIN },
  { "GET", "/v1/simulators", "listSimulators", "before limit", HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_simulator_list, PLAIN },
  { "GET", "/v1/simulators/{simulator}", "getSimulator", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_simulator_get, PLAIN },
  { "DELETE", "/v1/simulators/{simulator}", "deleteSimulator", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_SUBMIT, api_simulator_delete,
    PLAIN },
  { "GET", "/v1/workers", "listWorkers", NULL, HTTP_TOKEN, HTTP_NO_BODY, HTTP_AT_ONCE, api_worker_list, PLAIN },
};
const size_t API_ROUTES_N = sizeof API_ROUTES / sizeof *API_ROUTES;
