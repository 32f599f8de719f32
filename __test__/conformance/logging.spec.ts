import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as mp from 'node-multiprocessing'
import { debug, info, StreamHandler, SUBWARNING } from 'node-multiprocessing/util'
import { sendLevel } from '../fixtures/conformance/listener.js'
import { nothingIsLeftBehind, row, rowInBothForms } from '../helpers/row.js'

nothingIsLeftBehind()

/** Keeps what is written. */
const written = () => {
  let text = ''
  return {
    write: (more: string): void => {
      text += more
    },
    text: () => text,
  }
}

row('_TestLogging.test_enable_logging', (t) => {
  const logger = mp.getLogger()
  t.is(logger, mp.getLogger())
  const stream = written()
  const handler = new StreamHandler({ stream })
  logger.addHandler(handler)
  try {
    logger.setLevel(SUBWARNING)
    logger.debug('this will not be printed')
    logger.info('nor will this')
    logger.warning('but %s', 'this')
    t.is(stream.text(), '[WARNING/MainProcess] but this\n')
  } finally {
    logger.removeHandler(handler)
    logger.setLevel('NOTSET')
  }
})

rowInBothForms('_TestLogging.test_level', async (t, { calls, context }) => {
  const logger = mp.getLogger()
  const [reader, writer] = context.Pipe({ duplex: false })
  try {
    for (const level of [32, 37]) {
      logger.setLevel(level)
      const p = new context.Process({ target: sendLevel, args: [writer] })
      p.start()
      t.is(await calls.recv(reader), level)
      await calls.join(p)
      p.close()
    }
  } finally {
    logger.setLevel(0)
    reader.close()
    writer.close()
  }
})

row('_TestLogging.test_filename', (t) => {
  const logger = mp.getLogger()
  const stream = written()
  const handler = new StreamHandler({
    stream,
    format: '[%(levelname)s] [%(filename)s] %(message)s',
  })
  logger.addHandler(handler)
  try {
    logger.setLevel('DEBUG')
    logger.info('1')
    info('2')
    debug('3')
  } finally {
    logger.removeHandler(handler)
    logger.setLevel('NOTSET')
  }
  // Source maps may say that it is the TypeScript.
  const file = basename(fileURLToPath(import.meta.url), '.js')
  t.is(
    stream.text().replaceAll(/\.[jt]s\]/g, ']'),
    `[INFO] [${file}] 1\n[INFO] [${file}] 2\n[DEBUG] [${file}] 3\n`,
  )
})
