/** The process in which the codec is measured. @module */
import { run } from './codec.js'

await run()
