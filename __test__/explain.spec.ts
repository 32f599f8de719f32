/** explainFunction: how a function would travel. */
import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { declared } from './fixtures/functions.js'

test('exports travel by reference', (t) => {
  const it = mp.explainFunction(declared)
  t.like(it, {
    travels: 'by reference',
    export: 'declared',
    source: null,
    captures: [],
    reason: null,
  })
  t.regex(it.module ?? '', /^file:.*functions\.js$/)
  t.true(typeof it.bytes === 'number' && it.bytes > 0)
  t.is(
    inspect(it),
    `function declared travels by reference: declared of ${it.module}, ${it.bytes} bytes`,
  )
  t.like(mp.explainFunction(Math.max), {
    travels: 'by reference',
    module: 'global:',
    export: 'Math.max',
  })
})

test('others travel by value, with what they capture', (t) => {
  const factor = 3
  const table = { list: [1, 2, 3] }
  const helper = (x: number): number => x * factor
  const work = (x: number): unknown => [helper(x), table, declared(), readFileSync, table]
  const it = mp.explainFunction(work)
  t.like(it, { travels: 'by value', module: null, export: null, reason: null })
  t.is(it.source, String(work))
  const travels = Object.fromEntries(it.captures.map((each) => [each.name, each.travels]))
  t.deepEqual(travels, {
    helper: 'by value',
    table: 'by value',
    declared: 'by reference',
    readFileSync: 'imported',
  })
  t.true(it.captures.every(({ bytes }) => typeof bytes === 'number' && bytes > 0))
  t.is(it.captures.find(({ name }) => name === 'readFileSync')?.module, 'node:fs')
  const [first, ...rest] = inspect(it).split('\n')
  t.is(first, `function work travels by value, ${it.bytes} bytes`)
  t.regex(rest[0] ?? '', /^ {2}helper by value, \d+ bytes$/)
  t.is(rest.length, 4)
  // Large binary data counts, too.
  const data = new Uint8Array(100_000)
  t.true((mp.explainFunction(() => data).bytes ?? 0) > 100_000)
})

test('bound functions, and classes', (t) => {
  const add = (a: number, b: number): number => a + b
  const it = mp.explainFunction(add.bind(null, 1))
  t.is(it.travels, 'bound')
  t.deepEqual(
    it.captures.map(({ name, travels }) => [name, travels]),
    [
      ['its function', 'by value'],
      ['its this', 'by value'],
      ['its argument 0', 'by value'],
    ],
  )
  class Local {
    readonly field = add
  }
  t.like(mp.explainFunction(Local), { travels: 'by value', reason: null })
})

test('what cannot travel is explained, not thrown', (t) => {
  const waiting = Promise.resolve()
  const fine = 1
  const work = (): unknown => [waiting, fine]
  const it = mp.explainFunction(work)
  t.is(it.travels, 'not at all')
  t.is(it.bytes, null)
  t.regex(it.reason ?? '', /^function work captures waiting: a Promise cannot be sent/)
  t.deepEqual(
    it.captures.map(({ name, travels }) => [name, travels]),
    [
      ['waiting', 'not at all'],
      ['fine', 'by value'],
    ],
  )
  t.regex(it.captures[0]?.reason ?? '', /^a Promise cannot be sent/)
  t.regex(
    inspect(it),
    /^function work travels not at all: function work captures waiting: a Promise/,
  )
  class Holder {
    arrow = (): unknown => this
  }
  const arrow = mp.explainFunction(new Holder().arrow)
  t.like(arrow, { travels: 'not at all', captures: [], source: null })
  t.regex(arrow.reason ?? '', /^function arrow uses the `this` of the code around it/)
  t.is(mp.explainFunction(new Proxy(work, {})).travels, 'not at all')
})

test('what is no function is a TypeError', (t) => {
  for (const wrong of [undefined, null, 1, 'f', {}, []]) {
    t.throws(() => mp.explainFunction(wrong as never), {
      instanceOf: TypeError,
      message: /a function is wanted, not /,
    })
  }
})
