# Benchmarks and studies. Nothing here is an assertion; results go to $(B)/bench.

.PHONY: bench-learning bench-labels bench-pipeline bench-returns bench-demo bench-promise bench-checkpoint bench-env \
        bench-simulator bench-lerobot bench-lint bench-service bench-recovery bench-jobs bench-load bench-predict

bench-learning: $(B)/tests/bench/bench_learning ## Training and labelling against PyTorch (QUICK=1: under a minute)
	@mkdir -p $(B)/bench
	$< $(B)/bench/learning.csv

bench-labels: $(B)/tests/bench/bench_labels ## Label quality on the datasets of PROXACT_DATA, beside baselines
	@mkdir -p $(B)/bench
	$< $(B)/bench/labels.csv

PROXACT_DATA ?= ../shared/data
bench-pipeline: all ## The whole service on hopper-medium-expert of PROXACT_DATA, three masks: a quarter of an hour
	@tests/bench/bench_pipeline.sh $(PROXACT_DATA)/hopper-medium-expert.hdf5 11 3 hopper

bench-returns: $(B)/tests/bench/bench_policy ## Every algorithm on the datasets of PROXACT_DATA, all labels: hours; ALGOS= SEEDS=
	@tests/bench/bench_returns.sh $(PROXACT_DATA)

bench-demo: all ## The demo's pipeline with labels of the IDM and of the simulator, four network seeds: SEEDS="[0, 1, 2, 3]"
	@tests/bench/bench_demo.sh

bench-promise: $(B)/tests/bench/bench_promise ## What proxy labels are worth: six data sets, three masks, four seeds; hours, goes on where it was
	@tests/bench/bench_promise.sh $(PROXACT_DATA)

bench-checkpoint: all $(B)/tests/bench/bench_checkpoint ## What checkpoints cost, and what a crash loses: CHECKPOINT_S=60
	@tests/support/stack.sh $(B)/tests/bench/bench_checkpoint

bench-env: $(B)/tests/bench/bench_env ## Environment steps per second on one core
	@mkdir -p $(B)/bench
	$< $(B)/bench/env.csv

bench-simulator: $(B)/tests/bench/bench_simulator ## Labels from the simulator on the datasets of PROXACT_DATA: their error, labels a CPU second
	@mkdir -p $(B)/bench
	$< $(B)/bench/simulator.csv

bench-lerobot: $(B)/tests/bench/bench_read ## LeRobot folders of 100,000 steps, as DuckDB and Arrow write them: MB/s read
	@mkdir -p $(B)/bench/lerobot
	@for by in duckdb wasm; do tests/support/npm.sh tests/parquet/folder.mjs $(B)/bench/lerobot $$by 100 1000 || exit 1; done
	$< -o 9 -a 6 $(B)/bench/lerobot/duckdb.tar $(B)/bench/lerobot/wasm.tar | tee $(B)/bench/lerobot.csv

bench-lint: $(B)/tests/bench/bench_read ## What lint finds in the datasets of PROXACT_DATA, and how long it takes
	@mkdir -p $(B)/bench
	@{ $< -n 1 -o 11 -a 3 $(wildcard $(PROXACT_DATA)/hopper-*.hdf5) && $< -n 1 -o 17 -a 6 $(wildcard $(PROXACT_DATA)/halfcheetah-*.hdf5); } | tee $(B)/bench/lint.csv

bench-service: all $(B)/tests/bench/bench_worker ## Uploads, labelling, recovery of the whole service (QUICK=1: shorter)
	@mkdir -p $(B)/bench
	@PROXACT_BUILD=$(CURDIR)/$(B) tests/bench/bench_service.sh $(B)/bench/service.csv

bench-recovery: all ## Workers, PostgreSQL and Redis killed: how long until jobs go on (QUICK=1: shorter)
	@mkdir -p $(B)/bench
	@PROXACT_BUILD=$(CURDIR)/$(B) tests/bench/bench_service.sh $(B)/bench/recovery.csv recovery

bench-jobs: all $(B)/tests/bench/bench_jobs $(B)/tests/bench/bench_store $(FAULT) ## Jobs a second quiet and in a storm, wake-ups with Redis and without: SECONDS= SEED=
	@mkdir -p $(B)/bench
	@PROXACT_BUILD=$(CURDIR)/$(B) tests/bench/bench_jobs.sh $(B)/bench/jobs.csv $(if $(filter file,$(origin SECONDS)),30,$(SECONDS)) $(SEED)

bench-load: all $(B)/tests/bench/bench_load ## Idle and polling clients, uploads and long polls at once, beside nginx: CLIENTS= RATE= SECONDS_EACH=
	@mkdir -p $(B)/bench
	@tests/bench/bench_load.sh $(B)/bench/load.csv

bench-predict: all ## Predictions of 1, 256 and 4,096 rows beside trainings, p50 and p99: WORKERS=1 REQUESTS=200
	@tests/bench/bench_predict.sh $(B)/bench/predict.csv
