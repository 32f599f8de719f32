/**
 * What a benchmark is made of: a scenario is one piece of work, a peer is one way of doing it, a floor
 * is what ours must reach against the others.
 * @module
 */

/** Values handed to a peer as JSON: how much to do, and in which variant. */
export type Parameters = Readonly<Record<string, string | number | boolean>>

/** What a sample is counted in, and which way is better. */
export interface Unit {
  readonly label: string
  readonly better: 'lower' | 'higher'
}

interface PeerBase {
  /** What floors call it by; all interpreters of one Python peer share it. */
  readonly key: string
  /** What the table calls it. */
  readonly title: string
  /** Added to the scenario's amounts. */
  readonly parameters?: Parameters
}

/** A peer that is an exported function of a module: `(parameters) => number | Promise<number>`. */
export interface NodePeer extends PeerBase {
  readonly kind: 'node'
  /** The short name of its column of ratios; only ours have one. */
  readonly ours?: string
  /** The URL of the compiled module. */
  readonly module: string
  /** The name under which the module exports the measuring function. */
  readonly measure: string
  /** Options of node that it needs. */
  readonly execArgv?: readonly string[]
}

/** A peer that is a script in benchmark/peers, run once by each interpreter. */
export interface PythonPeer extends PeerBase {
  readonly kind: 'python'
  readonly script: string
}

/** One way of doing the work. */
export type Peer = NodePeer | PythonPeer

/** A number to reach, relative to the best of some peers of the same run. */
export interface RelativeFloor {
  /** The key of the peer of ours that must reach it. */
  readonly ours: string
  /** The keys of those it is compared with; the best of those measured counts. */
  readonly against: readonly string[]
  /**
   * For times: ours may take at most `factor` times as long as the best of them. For rates: ours must
   * be at least `factor` times theirs.
   */
  readonly factor: number
}

/** A number to reach in the scenario's own unit, where no peer is the measure. */
export interface AbsoluteFloor {
  /** The key of the peer of ours that must reach it. */
  readonly ours: string
  /** At most so much where lower is better, at least so much where higher is. */
  readonly bound: number
}

/** A number to reach. */
export type Floor = RelativeFloor | AbsoluteFloor

/** One piece of work, done by every peer in every round. */
export interface Scenario {
  readonly name: string
  readonly title: string
  readonly unit: Unit
  /** How many rounds a full run makes; a quick one makes one. */
  readonly rounds: number
  /** How much one sample does, in a full run and in a quick one. */
  readonly amounts: { readonly full: Parameters; readonly quick: Parameters }
  readonly peers: readonly Peer[]
  readonly floors: readonly Floor[]
}
