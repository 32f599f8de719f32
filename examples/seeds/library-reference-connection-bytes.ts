/** Objects and bytes over a pipe, with the calls that block instead of those that return promises. */
import assert from 'node:assert/strict'
import { isMainProcess, Pipe } from 'node-multiprocessing'

if (isMainProcess) {
  const [a, b] = Pipe()
  a.sendSync([1, 'hello', null])
  console.log(b.recvSync())

  b.sendBytesSync(Buffer.from('thank you'))
  console.log(String(a.recvBytesSync()))

  const arr1 = Int32Array.from({ length: 5 }, (_, i) => i)
  const arr2 = new Int32Array(10)
  a.sendBytesSync(arr1)
  const count = b.recvBytesIntoSync(arr2)
  assert.equal(count, arr1.length * arr1.BYTES_PER_ELEMENT)
  console.log(arr2)
}
