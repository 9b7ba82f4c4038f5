// SPDX-License-Identifier: Apache-2.0
// hyparquet as an independent reader: prints the rows of the files as JSON lines.
//   node hyparquet.mjs FOLDER_OF_NODE_MODULES FILE...
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { readFileSync } from 'node:fs'

const [folder, ...files] = process.argv.slice(2)
const require = createRequire(pathToFileURL(folder + '/x.js'))
const load = async (name) => import(pathToFileURL(require.resolve(name)))
const { parquetReadObjects } = await load('hyparquet')
const { compressors } = await load('hyparquet-compressors')

// What JSON cannot say: integers past 2^53, NaN and infinities, times to the microsecond.
const plain = (key, value) =>
  typeof value === 'bigint' ? value.toString()
    : typeof value === 'number' && !Number.isFinite(value) ? String(value)
      : value

for (const file of files) {
  const bytes = readFileSync(file)
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  for (const row of await parquetReadObjects({ file: buffer, compressors })) {
    process.stdout.write(JSON.stringify(row, plain) + '\n')
  }
}
