/** Several objects with C types, which a child modifies. */
import { c_double, type c_int, isMainProcess, Lock, Process, Structure } from 'node-multiprocessing'
import {
  Array,
  type Synchronized,
  type SynchronizedArray,
  type SynchronizedString,
  Value,
} from 'node-multiprocessing/sharedctypes'

export class Point extends Structure.of({ x: c_double, y: c_double }) {}

export const modify = (
  n: Synchronized<c_int>,
  x: c_double,
  s: SynchronizedString,
  A: SynchronizedArray<Point>,
): void => {
  n.value **= 2
  x.value **= 2
  s.value = s.value.toString().toUpperCase()
  for (const a of A) {
    a.x **= 2
    a.y **= 2
  }
}

if (isMainProcess) {
  const lock = new Lock()

  const n = new Value('i', 7)
  const x = new Value(c_double, 1.0 / 3.0, { lock: false })
  const s = new Array('c', 'hello world', { lock })
  const points = [
    [1.875, -6.25],
    [-5.75, 2.0],
    [2.375, 9.5],
  ]
  const A = new Array(Point, points, { lock })

  const p = new Process({ target: modify, args: [n, x, s, A] })
  p.start()
  await p.join()

  console.log(n.value)
  console.log(x.value)
  console.log(s.value.toString())
  console.log([...A].map((a) => [a.x, a.y]))
}
