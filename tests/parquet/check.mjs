// SPDX-License-Identifier: Apache-2.0
// A LeRobot export, read by DuckDB and by hyparquet, against the JSON lines of the same dataset: value by value.
// Usage: node check.mjs DIR NAME     DIR holds NAME.lerobot and NAME.jsonl
// Ends with 1 and the first difference. Prints how many rows and values were equal.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'
import { parquetReadObjects, asyncBufferFromFile } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

const [dir, name] = process.argv.slice(2)
const root = mkdtempSync(`${dir}/folder-`)
execFileSync('tar', ['-x', '-f', `${dir}/${name}.lerobot`, '-C', root])
const info = JSON.parse(readFileSync(`${root}/meta/info.json`, 'utf8'))
const trajectories = readFileSync(`${dir}/${name}.jsonl`, 'utf8').trim().split('\n').map(line => JSON.parse(line))
const files = kind => readdirSync(`${root}/${kind}`).sort().flatMap(chunk =>
  readdirSync(`${root}/${kind}/${chunk}`).sort().map(file => `${root}/${kind}/${chunk}/${file}`))

let values = 0
const plain = x => typeof x === 'bigint' ? Number(x) : x && typeof x === 'object' && 'items' in x ? plain(x.items)
  : Array.isArray(x) || ArrayBuffer.isView(x) ? Array.from(x, plain) : typeof x === 'number' ? Math.fround(x) : x
const expect = (reader, place, found, wanted) => {
  const a = JSON.stringify(plain(found ?? null)), b = JSON.stringify(plain(wanted ?? null))
  values += Array.isArray(wanted) ? wanted.length : 1
  if (a !== b) {
    console.log(`${reader}: ${place} is ${a}, and must be ${b}`)
    process.exit(1)
  }
}

// What each row and episode must be.
const rows = [], episodes = []
trajectories.forEach((t, e) => {
  const n = t.rewards.length
  episodes.push({ episode_index: e, tasks: ['trajectory'], length: n, dataset_from_index: rows.length,
    dataset_to_index: rows.length + n })
  for (let i = 0; i < n; i++) {
    const last = i === n - 1
    rows.push({ 'observation.state': t.observations[i], action: t.actions[i], 'action.source': t.action_source[i],
      'action.score': t.action_score[i], 'action.std': t.action_std[i], 'action.epistemic': t.action_epistemic[i],
      'action.residual': t.action_residual?.[i], 'next.reward': t.rewards[i], 'next.done': last,
      'next.terminated': last && t.terminated, 'next.truncated': last && t.truncated,
      'next.observation.state': last ? t.observations[n] : null, timestamp: i, frame_index: i, episode_index: e,
      index: rows.length, task_index: 0 })
  }
})

const compare = (reader, found, wanted, what) => {
  expect(reader, `rows of ${what}`, found.length, wanted.length)
  wanted.forEach((row, i) => Object.keys(row).forEach(key => expect(reader, `${what} ${i}, ${key}`, found[i][key], row[key])))
}

const connection = await (await DuckDBInstance.create()).connect()
const readers = {
  DuckDB: async paths => (await connection.runAndReadAll(
    `select * from read_parquet([${paths.map(path => `'${path}'`).join(', ')}])`)).getRowObjects(),
  hyparquet: async paths => (await Promise.all(paths.map(async path =>
    parquetReadObjects({ file: await asyncBufferFromFile(path), compressors })))).flat(),
}
for (const [reader, read] of Object.entries(readers)) {
  const data = await read(files('data'))
  compare(reader, data, rows, 'row')
  compare(reader, await read(files('meta/episodes')), episodes, 'episode')
  compare(reader, await read([`${root}/meta/tasks.parquet`]), [{ task_index: 0, task: 'trajectory' }], 'task')
  expect(reader, 'features', Object.keys(data[0]), Object.keys(info.features))
}
// Statistics, over what is not null.
const stats = JSON.parse(readFileSync(`${root}/meta/stats.json`, 'utf8'))
for (const key of ['observation.state', 'action', 'action.std', 'next.reward', 'next.done', 'frame_index']) {
  const some = rows.map(row => row[key]).filter(x => x !== null && x !== undefined).map(x => [x].flat().map(Number))
  expect('stats.json', `${key}, count`, stats[key].count, [some.length])
  some[0].forEach((_, j) => {
    const x = some.map(row => row[j]), mean = x.reduce((a, b) => a + b, 0) / x.length
    const std = Math.sqrt(x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length)
    const wanted = { min: x.reduce((a, b) => Math.min(a, b)), max: x.reduce((a, b) => Math.max(a, b)), mean, std }
    for (const [name, value] of Object.entries(wanted))
      expect('stats.json', `${key}[${j}], ${name}`, Math.abs(stats[key][name][j] - value) < 1e-5 * (1 + Math.abs(value)), true)
  })
}
expect('info.json', 'episodes', [info.total_episodes, info.total_frames], [trajectories.length, rows.length])
rmSync(root, { recursive: true })
console.log(`${rows.length} rows, ${values} values of two readers`)
