/**
 * What a child was started as, for all of its threads: each has its own copy of this package.
 * @module
 */
import { native } from './native.js'
import { ParentProcess } from './parent-process.js'

/** What a thread of a child has to know of it. */
export interface Identity {
  readonly name: string
  readonly parentName: string
  readonly parentPid: number
  /** The descriptor that reads its end when the parent is gone. */
  readonly parent: number
}

/** Says what this process is. */
export const setIdentity = (identity: Identity): void => {
  native.setIdentity(Buffer.from(JSON.stringify(identity)))
}

/** What this process is; nothing in the main process. */
export const knownIdentity = (): Identity | undefined => {
  const bytes = native.identity()
  return bytes === null ? undefined : JSON.parse(bytes.toString())
}

/** The parent, as a child sees it. */
export const parentOf = ({ parentName, parentPid, parent }: Identity): ParentProcess =>
  new ParentProcess(parentName, parentPid, parent)
