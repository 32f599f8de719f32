/** A short form of `npm run soak`. */
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { soak } from '../helpers/soak.js'
import { until } from '../helpers/until.js'

/** How long, in milliseconds: the long form runs for minutes. */
const TIME = Number(process.env.MP_SOAK ?? 60_000)

test.serial('pools are worked, killed, resized and ended, over and over', async (t) => {
  t.timeout(TIME + 120_000)
  const { done, killed, growth, descriptors } = await soak(TIME, (line) => t.log(line))
  t.true(done > 1000)
  t.true(killed > 10)
  t.true(growth < 150e6, `grown by ${growth} bytes`)
  t.true(descriptors < 20, `${descriptors} more descriptors`)
  await until('no worker is left', () => mp.activeChildren().length === 0)
})
