// SPDX-License-Identifier: Apache-2.0
// Parquet files of two writers, and what is in them, for tests/integration/test_parquet_peers.c.
// Usage: node write.mjs DIR
// Writes DIR/<file>.parquet and, for each column, DIR/<file>.<column> with what it holds: float64 numbers, all of a row side
// by side, then a byte for each row: 1, or 0 where it is null. DIR/list has a line for each: FILE COLUMN WIDTH ROWS.
import { appendFileSync, writeFileSync } from 'node:fs'
import { DuckDBInstance, listValue, arrayValue } from '@duckdb/node-api'
import * as arrow from 'apache-arrow'
import { Compression, Encoding, Table, WriterPropertiesBuilder, WriterVersion, writeParquet } from 'parquet-wasm'

const [dir] = process.argv.slice(2)
const ROWS = 5000, WIDTH = 7

let state = 1n
const uniform = () => { // 53 random bits
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
  return Number(state >> 11n) / 2 ** 53
}
const whole = limit => Math.floor(uniform() * limit)
const rows = of => Array.from({ length: ROWS }, (_, i) => of(i))
const some = of => rows(i => (i % 11 === 3 || (i > 2000 && i < 2300) ? null : of(i)))

// name: [type of DuckDB, type of Arrow, values]
const columns = {
  f: ['FLOAT', new arrow.Float32(), rows(() => Math.fround(uniform() * 2 - 1))],
  d: ['DOUBLE', new arrow.Float64(), rows(() => uniform() * 1e6)],
  i: ['INTEGER', new arrow.Int32(), rows(i => i * 3 - whole(7000))],
  l: ['BIGINT', new arrow.Int64(), rows(i => i * 1000003 + whole(10) - 2 ** 40)],
  u: ['UINTEGER', new arrow.Uint32(), rows(() => 2 ** 31 + whole(2 ** 31))],
  b: ['BOOLEAN', new arrow.Bool(), rows(i => (i % 500 === 499 || uniform() < 0.1 ? 1 : 0))],
  few: ['DOUBLE', new arrow.Float64(), rows(() => whole(5) / 4)],
  same: ['BIGINT', new arrow.Int64(), rows(() => 42)],
  'maybe.d': ['DOUBLE', new arrow.Float64(), some(() => uniform())],
  'maybe.i': ['INTEGER', new arrow.Int32(), some(i => i)],
  'maybe.b': ['BOOLEAN', new arrow.Bool(), some(i => i % 2)],
  'observation.state': ['FLOAT[]', new arrow.List(new arrow.Field('item', new arrow.Float32())),
    rows(() => Array.from({ length: WIDTH }, () => Math.fround(uniform())))],
  'fixed.state': [`DOUBLE[${WIDTH}]`, new arrow.FixedSizeList(WIDTH, new arrow.Field('element', new arrow.Float64())),
    rows(i => Array.from({ length: WIDTH }, (_, j) => Math.floor(i / 100) + j))],
  action: ['FLOAT[]', new arrow.List(new arrow.Field('item', new arrow.Float32())),
    some(() => Array.from({ length: WIDTH }, () => Math.fround(uniform())))],
  one: ['FLOAT[]', new arrow.List(new arrow.Field('item', new arrow.Float32())), rows(i => [i])],
}

function tell(file, names) {
  for (const name of names) {
    const values = columns[name][2], width = Math.max(...values.map(v => (Array.isArray(v) ? v.length : 1)))
    const flat = new Float64Array(ROWS * width), known = new Uint8Array(ROWS)
    values.forEach((v, i) => {
      known[i] = v === null ? 0 : 1
      for (let j = 0; j < width && v !== null; j++) flat[i * width + j] = Array.isArray(v) ? v[j] : v
    })
    writeFileSync(`${dir}/${file}.${name}`, Buffer.concat([Buffer.from(flat.buffer), known]))
    appendFileSync(`${dir}/list`, `${file} ${name} ${width} ${ROWS}\n`)
  }
}

async function byDuckdb() {
  const connection = await (await DuckDBInstance.create()).connect()
  const names = Object.keys(columns)
  await connection.run(`create table t (${names.map(n => `"${n}" ${columns[n][0]}`).join(', ')}, words varchar)`)
  const appender = await connection.createAppender('t')
  const append = { FLOAT: v => appender.appendFloat(v), DOUBLE: v => appender.appendDouble(v),
    INTEGER: v => appender.appendInteger(v), BIGINT: v => appender.appendBigInt(BigInt(v)),
    UINTEGER: v => appender.appendUInteger(v), BOOLEAN: v => appender.appendBoolean(v !== 0),
    'FLOAT[]': v => appender.appendValue(listValue(v)), [`DOUBLE[${WIDTH}]`]: v => appender.appendValue(arrayValue(v)) }
  for (let i = 0; i < ROWS; i++) {
    for (const name of names) {
      const [type, , values] = columns[name]
      if (values[i] === null) appender.appendNull()
      else append[type](values[i])
    }
    appender.appendVarchar(`row ${i}`)
    appender.endRow()
  }
  appender.closeSync()
  for (const codec of ['uncompressed', 'snappy', 'gzip', 'zstd'])
    for (const version of ['V1', 'V2']) {
      const file = `duckdb-${codec}-${version}`
      await connection.run(`copy t to '${dir}/${file}.parquet'
        (format parquet, compression ${codec}, parquet_version ${version}, row_group_size 2048)`)
      tell(file, names)
    }
}

function byArrow() {
  const fields = {}
  for (const [name, [, type, values]] of Object.entries(columns))
    fields[name] = arrow.vectorFromArray(arrow.DataType.isInt(type) && type.bitWidth === 64
      ? values.map(BigInt) : arrow.DataType.isBool(type) ? values.map(v => (v === null ? null : v !== 0)) : values, type)
  const ipc = arrow.tableToIPC(new arrow.Table(fields), 'stream')
  const write = (file, adapt) => {
    const builder = adapt(new WriterPropertiesBuilder().setMaxRowGroupSize(1999).setDataPageSizeLimit(5000)
      .setWriteBatchSize(64)).build()
    writeFileSync(`${dir}/${file}.parquet`, writeParquet(Table.fromIPCStream(ipc), builder))
    tell(file, Object.keys(columns))
  }
  for (const codec of ['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'ZSTD'])
    for (const version of ['V1', 'V2'])
      write(`wasm-${codec.toLowerCase()}-${version}`,
        b => b.setCompression(Compression[codec]).setWriterVersion(WriterVersion[version]))
  write('wasm-plain', b => b.setCompression(Compression.SNAPPY).setDictionaryEnabled(false))
  write('wasm-encoded', b => ['i', 'l', 'u', 'same', 'maybe.i'].reduce((p, name) =>
    p.setColumnEncoding(name, Encoding.DELTA_BINARY_PACKED), ['f', 'd', 'maybe.d'].reduce((p, name) =>
    p.setColumnEncoding(name, Encoding.BYTE_STREAM_SPLIT),
  b.setCompression(Compression.ZSTD).setWriterVersion(WriterVersion.V2).setDictionaryEnabled(false))))
}

await byDuckdb()
byArrow()
