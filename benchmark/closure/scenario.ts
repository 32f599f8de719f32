/** What it costs to send functions. @module */
import type { NodePeer, PythonPeer, Scenario } from '../scenario.js'

const ourPeer = (subject: string, title: string, measure: string): NodePeer => ({
  kind: 'node',
  key: `ours-${subject}`,
  title: `ours, ${title}`,
  ours: subject,
  module: new URL('./ours.js', import.meta.url).href,
  measure,
  parameters: { subject },
})

const python = (variant: string): PythonPeer => ({
  kind: 'python',
  key: 'python',
  title: 'a function of a module, by reference',
  script: 'functions.py',
  parameters: { variant },
})

/** The first function that a process sends. */
export const closureFirst: Scenario = {
  name: 'closure-first',
  title: 'encode a function, the first of a fresh process',
  unit: { label: 'ms', better: 'lower' },
  rounds: 7,
  amounts: { full: {}, quick: {} },
  peers: [
    ourPeer('closure', 'a closure, by value', 'first'),
    ourPeer('exported', 'an export, by reference', 'first'),
    python('first'),
  ],
  floors: [{ ours: 'ours-closure', bound: 60 }],
}

/** The same function over and over. */
export const closureAgain: Scenario = {
  name: 'closure-again',
  title: 'encode a function that was encoded before',
  unit: { label: 'µs', better: 'lower' },
  rounds: 5,
  amounts: { full: { warmup: 200, duration: 500 }, quick: { warmup: 10, duration: 30 } },
  peers: [
    ourPeer('closure', 'a closure of constants, by value', 'again'),
    ourPeer('counter', 'a closure of a variable that changes', 'again'),
    ourPeer('exported', 'an export, by reference', 'again'),
    python('again'),
  ],
  floors: [{ ours: 'ours-closure', against: ['python'], factor: 2 }],
}
