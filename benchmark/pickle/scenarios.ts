/** Pickles, beside the pickle that CPython has in C. @module */
import type { Floor, Scenario } from '../scenario.js'

const kinds = [
  ['ints', 'a list of a million ints (quick: a thousand)', 1_000_000],
  ['records', 'a list of 100,000 dictionaries (quick: a thousand)', 100_000],
] as const

const scenario = (
  [contents, title, count]: (typeof kinds)[number],
  measure: 'read' | 'write',
): Scenario => ({
  name: `pickle-${measure}-${contents}`,
  title: `${measure} ${title} as a pickle`,
  unit: { label: 'ms', better: 'lower' },
  rounds: 5,
  amounts: {
    full: { contents, count, repeats: 15 },
    quick: { contents, count: 1000, repeats: 2 },
  },
  peers: [
    {
      kind: 'node',
      key: 'ours',
      title: measure === 'read' ? 'ours, pickle.loads' : 'ours, pickle.dumps',
      ours: 'ours',
      module: new URL('./ours.js', import.meta.url).href,
      measure,
    },
    {
      kind: 'python',
      key: 'python',
      title: measure === 'read' ? 'pickle.loads' : 'pickle.dumps',
      script: 'pickles.py',
      parameters: { variant: measure },
    },
  ],
  floors: [{ ours: 'ours', against: ['python'], factor: 1.5 }] satisfies Floor[],
})

/** The scenarios. */
export const pickleScenarios: readonly Scenario[] = [
  ...kinds.map((kind) => scenario(kind, 'read')),
  ...kinds.map((kind) => scenario(kind, 'write')),
]
