// Confidence intervals of the mean arrival delay of flights, for each hour of the day, on all cores.

import * as mp from 'node-multiprocessing'
import { UsageError } from './errors.js'

// Workers load this module too. They need neither what follows nor the libraries it loads.
if (mp.isMainProcess) {
  const { demo } = await import('./demo.js')
  try {
    await demo(process.argv.slice(2))
  } catch (error) {
    // A stack says nothing about a wrong argument, but a lot about anything else.
    console.error(error instanceof UsageError ? `${error.message}\nTry --help.` : error)
    process.exitCode = 1
  }
}
