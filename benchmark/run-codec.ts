/** The process in which the codec is measured; `--quick` is passed on to it. @module */
import { run } from './codec.js'

await run({ quick: process.argv.includes('--quick') })
