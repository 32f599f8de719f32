/** A number and an array in shared memory, which a child changes. */
import * as mp from 'node-multiprocessing'

export const f = (n: mp.Synchronized<mp.c_double>, a: mp.SynchronizedArray<mp.c_int>): void => {
  // biome-ignore lint/suspicious/noApproximativeNumericConstant: the document's own number.
  n.value = 3.1415927
  for (let i = 0; i < a.length; i++) a[i] = -a[i]!
}

if (mp.isMainProcess) {
  const num = new mp.Value('d', 0.0)
  const arr = new mp.Array('i', Array(10).keys())

  const p = new mp.Process({ target: f, args: [num, arr] })
  p.start()
  await p.join()

  console.log(num.value)
  console.log(arr.slice())
}
