// SPDX-License-Identifier: Apache-2.0
// A LeRobot folder as a tar, written by others' Parquet writers, and what is in it.
// Usage: node folder.mjs DIR duckdb|wasm EPISODES STEPS
// DuckDB writes version 3.0, several episodes a file; parquet-wasm writes version 2.1, a file for each. Writes DIR/WRITER.tar,
// and DIR/WRITER.values: for each step float64 numbers of state [6], force [3], action [6] and reward, then for all steps a
// byte: 1, or 0 where the action is null.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { DuckDBInstance, listValue } from '@duckdb/node-api'
import * as arrow from 'apache-arrow'
import { Compression, Table, WriterPropertiesBuilder, writeParquet } from 'parquet-wasm'

const [dir, writer, episodesText, stepsText] = process.argv.slice(2)
const EPISODES = Number(episodesText), STEPS = Number(stepsText), FILES = 2, STATE = 6, FORCE = 3, ACTION = 6
const root = `${dir}/${writer}/set`
const pad = (n, digits) => String(n).padStart(digits, '0')

let state = 7
const uniform = () => { // xorshift32
  state ^= state << 13, state ^= state >>> 17, state ^= state << 5
  return (state >>> 0) / 2 ** 32
}
const floats = n => Array.from({ length: n }, () => Math.fround(2 * uniform() - 1))
const rows = []
for (let e = 0; e < EPISODES; e++)
  for (let t = 0; t < STEPS; t++)
    rows.push({ 'observation.state': floats(STATE), action: e % 3 === 1 && t % 2 ? null : floats(ACTION),
      'observation.force': floats(FORCE), 'next.reward': Math.fround(uniform()), 'next.done': t === STEPS - 1 && e % 2 === 0,
      timestamp: Math.fround(t / 20), frame_index: t, episode_index: e, index: rows.length, task_index: 0 })

const list = (n, dtype = 'float32') => ({ dtype, shape: [n], names: null })
const features = { 'observation.images.top': { dtype: 'video', shape: [480, 640, 3] }, 'observation.state': list(STATE),
  action: list(ACTION), 'observation.force': list(FORCE), 'next.reward': list(1), 'next.done': list(1, 'bool'),
  timestamp: list(1), frame_index: list(1, 'int64'), episode_index: list(1, 'int64'), index: list(1, 'int64'),
  task_index: list(1, 'int64') }
const put = (name, bytes) => {
  mkdirSync(`${root}/${name}`.replace(/\/[^/]*$/, ''), { recursive: true })
  writeFileSync(`${root}/${name}`, bytes)
}
const putInfo = (version, path) => put('meta/info.json', JSON.stringify({ codebase_version: version, robot_type: 'arm',
  total_episodes: EPISODES, total_frames: rows.length, chunks_size: 1000, fps: 20, data_path: path, features }, null, 4))

async function byDuckdb() {
  putInfo('v3.0', 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet')
  const connection = await (await DuckDBInstance.create()).connect()
  await connection.run(`create table t ("observation.state" float[], action float[], "observation.force" float[],
    "next.reward" float, "next.done" boolean, timestamp float, frame_index bigint, episode_index bigint, "index" bigint,
    task_index bigint)`)
  const appender = await connection.createAppender('t')
  for (const row of rows) {
    appender.appendValue(listValue(row['observation.state']))
    if (row.action) appender.appendValue(listValue(row.action))
    else appender.appendNull()
    appender.appendValue(listValue(row['observation.force']))
    appender.appendFloat(row['next.reward'])
    appender.appendBoolean(row['next.done'])
    appender.appendFloat(row.timestamp)
    for (const name of ['frame_index', 'episode_index', 'index', 'task_index']) appender.appendBigInt(BigInt(row[name]))
    appender.endRow()
  }
  appender.closeSync()
  const most = Math.ceil(EPISODES / FILES)
  mkdirSync(`${root}/data/chunk-000`, { recursive: true })
  mkdirSync(`${root}/meta/episodes/chunk-000`, { recursive: true })
  for (let f = 0; f < FILES; f++)
    await connection.run(`copy (select * from t where episode_index // ${most} = ${f} order by "index")
      to '${root}/data/chunk-000/file-${pad(f, 3)}.parquet' (format parquet, compression snappy, row_group_size 10000)`)
  await connection.run(`copy (select episode_index, ['push'] as tasks, count(*) as length, 0::bigint as "data/chunk_index",
      episode_index // ${most} as "data/file_index", min("index") as dataset_from_index, max("index") + 1 as dataset_to_index
      from t group by episode_index order by episode_index)
    to '${root}/meta/episodes/chunk-000/file-000.parquet' (format parquet, compression zstd)`)
}

function byArrow() {
  putInfo('v2.1', 'data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet')
  const fixed = n => new arrow.FixedSizeList(n, new arrow.Field('element', new arrow.Float32()))
  const types = { 'observation.state': fixed(STATE), action: new arrow.List(new arrow.Field('item', new arrow.Float32())),
    'observation.force': fixed(FORCE), 'next.reward': new arrow.Float32(), 'next.done': new arrow.Bool(),
    timestamp: new arrow.Float32(), frame_index: new arrow.Int64(), episode_index: new arrow.Int64(),
    index: new arrow.Int64(), task_index: new arrow.Int64() }
  const lines = []
  for (let e = 0; e < EPISODES; e++) {
    const own = rows.slice(e * STEPS, (e + 1) * STEPS), columns = {}
    for (const [name, type] of Object.entries(types))
      columns[name] = arrow.vectorFromArray(own.map(row => (arrow.DataType.isInt(type) ? BigInt(row[name]) : row[name])), type)
    const properties = new WriterPropertiesBuilder().setCompression(Compression.ZSTD).build()
    put(`data/chunk-000/episode_${pad(e, 6)}.parquet`,
      writeParquet(Table.fromIPCStream(arrow.tableToIPC(new arrow.Table(columns), 'stream')), properties))
    lines.push(JSON.stringify({ episode_index: e, tasks: ['push'], length: STEPS }))
  }
  put('meta/episodes.jsonl', lines.join('\n') + '\n')
}

await (writer === 'duckdb' ? byDuckdb() : byArrow())
put('videos/chunk-000/observation.images.top/episode_000000.mp4', Buffer.alloc(5000, 1))
execFileSync('tar', ['-c', '-f', `${dir}/${writer}.tar`, '-C', `${dir}/${writer}`, 'set'])
execFileSync('rm', ['-r', `${dir}/${writer}`])
const width = STATE + FORCE + ACTION + 1, values = new Float64Array(rows.length * width), known = new Uint8Array(rows.length)
rows.forEach((row, i) => {
  known[i] = row.action ? 1 : 0
  values.set([...row['observation.state'], ...row['observation.force'], ...(row.action ?? Array(ACTION).fill(0)), row['next.reward']],
    i * width)
})
writeFileSync(`${dir}/${writer}.values`, Buffer.concat([Buffer.from(values.buffer), known]))
