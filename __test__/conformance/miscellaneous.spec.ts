import { readFileSync } from 'node:fs'
import * as mp from 'node-multiprocessing'
import { registerFinalizers } from '../fixtures/conformance/finalizers.js'
import { notYet, referenceNames } from '../fixtures/conformance/reference-names.js'
import { declaredNames } from '../helpers/declared-names.js'
import { nothingIsLeftBehind, row, rowInBothForms } from '../helpers/row.js'

nothingIsLeftBehind()

const packageFolder = new URL('../../../', import.meta.url)

interface Entry {
  readonly types: string
  readonly default: string
}

/** What the package exports: from each subpath to its files. */
const entries = (): [string, Entry][] => {
  const { exports } = JSON.parse(readFileSync(new URL('package.json', packageFolder), 'utf8'))
  return Object.entries(exports as Record<string, Entry | string>).filter(
    (entry): entry is [string, Entry] => typeof entry[1] === 'object',
  )
}

rowInBothForms('_TestFinalize.test_finalize', async (t, { calls }) => {
  for (const exit of [false, true]) {
    const [connection, childConnection] = mp.Pipe()
    const p = new mp.Process({ target: registerFinalizers, args: [childConnection, exit] })
    p.daemon = true
    p.start()
    childConnection.close()
    await calls.join(p)
    t.is(p.exitcode, 0)

    const called: unknown[] = []
    for (;;) {
      const name: unknown = await calls.recv(connection)
      if (name === 'STOP') break
      called.push(name)
    }
    t.deepEqual(called, ['a', 'b', 'd10', 'd03', 'd02', 'd01', 'e'])
    await t.throwsAsync(calls.recv(connection), { instanceOf: mp.EOFError })
    connection.close()
  }
})

row('_TestImportStar.test_import', async (t) => {
  const found = entries()
  t.true(found.length >= 6)
  for (const [subpath, { types }] of found) {
    const module: object = await import(`node-multiprocessing${subpath.slice(1)}`)
    const declared = declaredNames(new URL(types, packageFolder))
    t.true(declared.size > 0, subpath)
    for (const name of declared) {
      t.true(Reflect.get(module, name) !== undefined, `${subpath} declares ${name}`)
    }
  }
})

row('MiscTestCase.test__all__', (t) => {
  const subpaths = new Map(entries())
  const wanted = Object.entries(referenceNames)
    .filter(([subpath]) => subpaths.has(subpath))
    .flatMap(([, names]) => names)
  const missing = wanted.filter((name) => !(name in mp))
  t.deepEqual(missing, notYet, 'the names of the reference')

  const declared = declaredNames(new URL(subpaths.get('.')?.types ?? '', packageFolder))
  t.deepEqual(Object.keys(mp).sort(), [...declared].sort(), 'what is there is what is declared')
})
