/** A counter in shared memory, counted under its lock, and an array. */
import { Array, Value } from 'node-multiprocessing'

const counter = new Value('i', 0)

const held = counter.getLock().holdSync()
counter.value += 1
held.release()

const arr = new Array('d', [1.0, 2.0, 3.0])
arr[0] = 99.0

console.log(counter.value)
console.log(arr.slice())
