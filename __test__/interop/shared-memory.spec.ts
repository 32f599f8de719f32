/** Blocks and lists that CPython shares, in both directions. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { unregister } from 'node-multiprocessing/resource-tracker'
import { exists, programWith } from '../helpers/shared-memory-programs.js'
import { until } from '../helpers/until.js'

const PYTHON = process.env.PYTHON ?? 'python3'

/** Before 3.13 Python's tracker removes whatever its process attaches to. */
const prologue = `
import sys
from multiprocessing import shared_memory, resource_tracker
from multiprocessing.shared_memory import SharedMemory, ShareableList
if sys.argv[1] == 'attach':
    resource_tracker.register = lambda *args: None
    resource_tracker.unregister = lambda *args: None
`

/** Runs a script that attaches to what is here; returns what it prints. */
const python = (t: ExecutionContext, script: string, ...args: string[]): string => {
  const { status, stdout, stderr } = spawnSync(
    PYTHON,
    ['-c', `${prologue}${script}`, 'attach', ...args],
    { encoding: 'utf8', timeout: 30_000 },
  )
  t.is(stderr, '')
  t.is(status, 0)
  return stdout
}

/** A script that makes something, says its name, and goes on when it is told to. */
const pythonThatMakes = async (
  t: ExecutionContext,
  script: string,
): Promise<{ name: string; go: () => Promise<string> }> => {
  const child = spawn(PYTHON, ['-c', `${prologue}${script}`, 'create'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await until('Python has made it', () => said.includes('\n'))
  const name = said.trim()
  said = ''
  const go = async (): Promise<string> => {
    child.stdin.end('\n')
    await once(child, 'close')
    t.is(child.exitCode, 0)
    return said
  }
  return { name, go }
}

test.serial('a block made here is read and written by Python', (t) => {
  const block = new mp.SharedMemory({ create: true, size: 5000 })
  block.buf!.write('from here')
  const said = python(
    t,
    `block = SharedMemory(sys.argv[2])
print(bytes(block.buf[:9]), block.size)
block.buf[4990:5000] = b'from there'
block.close()`,
    block.name,
  )
  t.is(said, "b'from here' 5000\n")
  t.is(block.buf!.toString('latin1', 4990), 'from there')
  block.close()
  block.unlink()
})

test.serial('a block made by Python is read and written here', async (t) => {
  const { name, go } = await pythonThatMakes(
    t,
    `block = SharedMemory(create=True, size=5000)
block.buf[:10] = b'from there'
print(block.name, flush=True)
sys.stdin.readline()
print(bytes(block.buf[100:109]))
block.close()
block.unlink()`,
  )
  using block = new mp.SharedMemory({ name, track: false })
  t.is(block.size, 5000)
  t.is(block.buf!.toString('latin1', 0, 10), 'from there')
  block.buf!.write('from here', 100)
  t.is(await go(), "b'from here'\n")
  t.false(exists(name))
})

const ITEMS = [
  'howdy',
  '',
  'ä€😀',
  'x'.repeat(8),
  'é'.repeat(20),
  Buffer.from([1, 0, 2]),
  Buffer.alloc(0),
  -273.154,
  mp.float(2),
  Number.NaN,
  Number.NEGATIVE_INFINITY,
  -0,
  1e300,
  100,
  -1,
  2 ** 53 - 1,
  2n ** 63n - 1n,
  -(2n ** 63n),
  true,
  false,
  null,
]

const IN_PYTHON =
  "['howdy', '', 'ä€😀', 'xxxxxxxx', 'éééééééééééééééééééé', b'\\x01\\x00\\x02', b'', -273.154, 2.0, nan, -inf, -0.0, 1e+300, 100, -1, " +
  '9007199254740991, 9223372036854775807, -9223372036854775808, True, False, None]'

const FORMAT = '8s8s16s16s40s8s8sddddddqqqqqxxxxxxx?xxxxxxx?xxxxxx?x'

test.serial('a list made here is that list in Python', (t) => {
  const list = new mp.ShareableList<mp.ShareableValue>(ITEMS)
  const said = python(
    t,
    `sys.stdout.reconfigure(encoding='utf8')
items = ShareableList(name=sys.argv[2])
print(list(items))
print(items.format)
items[0] = 'servus'
items[13] = 1.0
items[18] = None
items[20] = 77
items.shm.close()`,
    list.shm.name,
  )
  t.is(said, `${IN_PYTHON}\n${FORMAT}\n`)
  t.deepEqual(
    [0, 13, 18, 20].map((index) => list.get(index)),
    ['servus', 1, null, 77],
  )
  list.shm.close()
  list.shm.unlink()
})

test.serial('a list made by Python is that list here', async (t) => {
  const { name, go } = await pythonThatMakes(
    t,
    `nan, inf = float('nan'), float('inf')
items = ShareableList([*${IN_PYTHON.replace("'éééééééééééééééééééé', ", '')}])
print(items.shm.name, flush=True)
sys.stdin.readline()
print(items[0], items[12], items[2], items.format)
items.shm.close()
items.shm.unlink()`,
  )
  const wanted = ITEMS.filter((item) => item !== 'é'.repeat(20)).map((item) =>
    item instanceof mp.Float ? item.value : item,
  )
  const list = new mp.ShareableList<mp.ShareableValue>(null, { name })
  // Three characters of nine bytes got eight, which is the reference's fault.
  t.throws(() => list.get(2), { instanceOf: mp.ValueError, message: /can't decode/ })
  wanted.splice(2, 1)
  const seen = Array.from({ length: list.length }, (_, index) => index)
    .filter((index) => index !== 2)
    .map((index) => list.get(index))
  t.is(inspect(seen), inspect(wanted))
  list.set(0, 5)
  list.set(12, mp.float(3))
  list.set(2, 'short')
  list.shm.close()
  const said = await go()
  // It was Python's, and it is gone.
  unregister(`/${name}`, 'shared_memory')
  t.regex(said, /^5 3\.0 short q8s8s16s/)
})

test.serial('who attaches to a block of Python does not take it away', async (t) => {
  const { name, go } = await pythonThatMakes(
    t,
    `block = SharedMemory(create=True, size=10)
print(block.name, flush=True)
sys.stdin.readline()
print(SharedMemory(block.name).size)
block.close()
block.unlink()`,
  )
  // Tracked, and not unlinked: this program's tracker would remove it, but Python still uses it.
  const outcome = await programWith(t, 'new SharedMemory(process.argv[2]).close()', {
    args: [name],
  })
  t.is(outcome.code, 0)
  t.true(outcome.stderr.includes(`'/${name}': still in use by another program`), outcome.stderr)
  t.is(await go(), '10\n')
})
