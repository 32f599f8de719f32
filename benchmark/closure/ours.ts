/** Ours: encoding functions, for the first time in a process and later. @module */
import { decode, type Encoded, encode } from '#codec'
import 'node-multiprocessing'
import { type Duration, meanTimeSync } from '../timing.js'
import { exported, makeClosure, makeCounter } from './functions.js'

const subjects = {
  closure: makeClosure,
  counter: makeCounter,
  exported: () => exported,
}

interface Subject {
  readonly subject: keyof typeof subjects
}

const verify = ({ bytes, start, end }: Encoded, expected: number): void => {
  const arrived = decode(bytes, start, end, { trusted: true }) as (x: number) => number
  if (arrived(2) !== expected) throw new Error('another function came back')
}

const resultOf = { closure: 9, counter: 2, exported: 9 }

/** The first function of a process, in milliseconds. */
export const first = ({ subject }: Subject): number => {
  const fn = subjects[subject]()
  const begin = performance.now()
  const message = encode(fn)
  const time = performance.now() - begin
  verify(message, resultOf[subject])
  return time
}

/** The same function again, in microseconds. */
export const again = ({ subject, ...duration }: Subject & Duration): number => {
  const fn = subjects[subject]()
  verify(encode(fn), resultOf[subject])
  return meanTimeSync(duration, () => encode(fn)) * 1e3
}
