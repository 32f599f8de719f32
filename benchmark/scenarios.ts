/** All scenarios, in the order in which they run. @module */
import { bytesRoundTrip } from './bytes-round-trip/scenario.js'
import { closureAgain, closureFirst } from './closure/scenario.js'
import { share1Gib } from './handover/scenario.js'
import { largeBuffers } from './large-buffers/scenario.js'
import { lockContended, lockUncontended } from './lock/scenario.js'
import { managerClients, managerGet, managerMemory, managerPipelined } from './manager/scenarios.js'
import { networkScenarios } from './network/scenarios.js'
import { objectRoundTrip } from './object-round-trip/scenario.js'
import { oneWayObjects } from './one-way-objects/scenario.js'
import { pickleScenarios } from './pickle/scenarios.js'
import {
  poolApply,
  poolFlight,
  poolGrowth,
  poolMap,
  poolSharedArray,
  poolStart,
} from './pool/scenario.js'
import { queueScenarios } from './queue/scenarios.js'
import type { Scenario } from './scenario.js'
import {
  shareableListItem,
  sharedMemoryLarge,
  sharedMemorySmall,
  sharedMemoryUntouched,
} from './shared-memory/scenario.js'
import { sharedCounter, typedArrayReads } from './shared-values/scenario.js'
import { startAndJoin } from './start-and-join/scenario.js'
import { startImport } from './start-import/scenario.js'
import { startMemory } from './start-memory/scenario.js'
import { startPreload } from './start-preload/scenario.js'
import { waitIdle } from './waiting/scenario.js'

/** Every scenario that compares peers with each other. */
export const scenarios: readonly Scenario[] = [
  startAndJoin,
  startMemory,
  startPreload,
  startImport,
  closureFirst,
  closureAgain,
  objectRoundTrip,
  bytesRoundTrip,
  oneWayObjects,
  largeBuffers,
  ...networkScenarios,
  waitIdle,
  ...pickleScenarios,
  ...queueScenarios,
  poolApply,
  poolFlight,
  poolMap,
  poolSharedArray,
  poolStart,
  poolGrowth,
  managerGet,
  managerPipelined,
  managerClients,
  managerMemory,
  sharedMemorySmall,
  sharedMemoryUntouched,
  sharedMemoryLarge,
  shareableListItem,
  lockUncontended,
  lockContended,
  sharedCounter,
  typedArrayReads,
  share1Gib,
]
