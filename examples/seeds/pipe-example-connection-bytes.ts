/** Objects and bytes over a pipe, the two ends in one process. */
import assert from 'node:assert/strict'
import { isMainProcess, Pipe } from 'node-multiprocessing'

if (isMainProcess) {
  const [a, b] = Pipe()
  await a.send([1, 'hello', null])
  console.log(await b.recv())

  await b.sendBytes(Buffer.from('thank you'))
  console.log(String(await a.recvBytes()))

  const arr1 = Int32Array.from({ length: 5 }, (_, i) => i)
  const arr2 = new Int32Array(10)
  await a.sendBytes(arr1)
  const count = await b.recvBytesInto(arr2)
  assert.equal(count, arr1.length * arr1.BYTES_PER_ELEMENT)
  console.log(arr2)
}
