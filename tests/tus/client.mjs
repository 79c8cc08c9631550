// SPDX-License-Identifier: Apache-2.0
// One way of uploading with tus-js-client, as a user of it would write it.
// Usage: node client.mjs WAY FILE [STORE]     PROXACT_URL, PROXACT_TOKEN and DATASET in the environment
// Prints the addresses of the uploads when they are complete; ends with 1 and the error's message otherwise.
// STORE is where the ways `abandoned` and `resumed` remember an upload between two processes.
import { createReadStream, statSync } from 'node:fs'
import { basename } from 'node:path'
import * as tus from 'tus-js-client'

const [way, file, store] = process.argv.slice(2)
const size = statSync(file).size
const { PROXACT_URL, PROXACT_TOKEN, DATASET } = process.env
const authorization = { Authorization: `Bearer ${PROXACT_TOKEN}` }

function make(options = {}) {
  return new tus.Upload(createReadStream(file), {
    endpoint: `${PROXACT_URL}/v1/uploads`,
    headers: authorization,
    metadata: { dataset: DATASET, filename: basename(file), filetype: '' },
    uploadSize: size,
    chunkSize: 4 << 20,
    retryDelays: [100, 200, 400, 800, 1600, 3200],
    ...options,
  })
}

// Runs it to its end.
function run(upload) {
  return new Promise((resolve, reject) => {
    upload.options.onSuccess = () => resolve([upload.url])
    upload.options.onError = reject
    upload.start()
  })
}

// Calls `act` once, when a third has been accepted.
function atThird(upload, act) {
  let acted = false
  upload.options.onChunkComplete = (_, accepted) => {
    if (acted || accepted < size / 3) return
    acted = true
    act()
  }
}

const remembered = { urlStorage: store && new tus.FileUrlStorage(store), fingerprint: async () => 'the-file' }

const ways = {
  plain: () => run(make()),
  unchunked: () => run(make({ chunkSize: Infinity })), // the client's default: all in one request
  during_creation: () => run(make({ uploadDataDuringCreation: true })),
  by_post: () => run(make({ overridePatchMethod: true })),

  async paused() {
    const upload = make()
    let pauses = 0
    atThird(upload, async () => {
      await upload.abort()
      pauses++
      setTimeout(() => upload.start(), 300)
    })
    const urls = await run(upload)
    if (pauses !== 1) throw new Error(`it was paused ${pauses} times`)
    return urls
  },

  abandoned: () => new Promise((resolve, reject) => {
    const upload = make(remembered)
    atThird(upload, () => upload.abort().then(() => resolve([upload.url]), reject))
    run(upload).catch(reject)
  }),

  async resumed() {
    let first
    const upload = make({ ...remembered, onProgress: (sent) => { first ??= sent } })
    const before = await upload.findPreviousUploads()
    if (before.length !== 1) throw new Error(`${before.length} uploads are remembered`)
    upload.resumeFromPreviousUpload(before[0])
    const urls = await run(upload)
    if (first < size / 3) throw new Error(`it began again at ${first}`)
    return urls
  },

  async parallel() {
    const urls = await Promise.all(Array.from({ length: 8 }, () => run(make({ chunkSize: 1 << 20 }))))
    return urls.flat()
  },

  terminated: () => new Promise((resolve, reject) => {
    const upload = make()
    atThird(upload, () => upload.abort(true).then(() => resolve([upload.url]), reject))
    run(upload).catch(reject)
  }),
}

try {
  const urls = await ways[way]()
  console.log(urls.join('\n'))
  process.exit(0)
} catch (error) {
  console.error(error.message)
  process.exit(1)
}
