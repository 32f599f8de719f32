import { readFileSync } from 'node:fs'

const ownDeclaration =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:class|const|let|var|function|enum) (\w+)/gm
const list = /^export (type )?\{([^}]*)\}(?: from '([^']+)')?/gm
const everything = /^export \* from '([^']+)'/gm
const namespace = /^export \* as (\w+) from '[^']+'/gm

const declarationsOf = (module: string, from: URL): URL =>
  new URL(module.replace(/\.js$/, '.d.ts'), from)

const namesInList = (names: string): string[] =>
  names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith('type '))
    .map((name) => name.split(' as ').pop()?.trim() ?? name)

/**
 * The names that a file of declarations promises to exist when the program runs: what it exports that
 * is not a type. The reference lists them in `__all__`.
 */
export const declaredNames = (declarations: URL): Set<string> => {
  const text = readFileSync(declarations, 'utf8')
  const names = new Set<string>()
  for (const [, name = ''] of text.matchAll(ownDeclaration)) names.add(name)
  for (const [, name = ''] of text.matchAll(namespace)) names.add(name)
  for (const [, type, listed = '', module] of text.matchAll(list)) {
    if (type !== undefined) continue
    const known = module?.startsWith('.')
      ? declaredNames(declarationsOf(module, declarations))
      : undefined
    for (const name of namesInList(listed)) {
      // A list may pass on a type without saying so.
      if (known === undefined || known.has(name) || listed.includes(' as ')) names.add(name)
    }
  }
  for (const [, module = ''] of text.matchAll(everything)) {
    for (const name of declaredNames(declarationsOf(module, declarations))) names.add(name)
  }
  return names
}
