/** Managers for classes, generators and modules of the program. */
import path from 'node:path'
import { isMainProcess } from 'node-multiprocessing'
import { BaseManager, BaseProxy, IteratorProxy, RemoteError } from 'node-multiprocessing/managers'

export class Foo {
  f(): void {
    console.log('you called Foo.f()')
  }

  g(): void {
    console.log('you called Foo.g()')
  }

  _h(): void {
    console.log('you called Foo._h()')
  }
}

/** A simple generator. */
export function* baz(): Generator<number> {
  for (let i = 0; i < 10; i++) yield i * i
}

/** A module, as an object with functions. */
export const getPathModule = () => path

class Custom extends BaseManager {}
export const MyManager = Custom
  // Makes all public methods of Foo accessible.
  .register('Foo1', Foo)
  // Makes only g and _h accessible.
  .register('Foo2', Foo, { exposed: ['g', '_h'] })
  .register('baz', baz, { proxytype: IteratorProxy })
  .register('path', getPathModule, { exposed: ['basename', 'dirname'] })

if (isMainProcess) {
  await using manager = new MyManager()
  await manager.start()

  const foo1 = await manager.Foo1()
  await foo1.f()
  await foo1.g()
  console.log('_h' in foo1, foo1 instanceof BaseProxy)

  const foo2 = await manager.Foo2()
  await foo2.g()
  await foo2._callmethod('_h')
  try {
    await foo2._callmethod('f')
  } catch (error) {
    console.log(error instanceof RemoteError)
  }

  const squares: unknown[] = []
  for await (const square of await manager.baz()) squares.push(square)
  console.log(squares.join(' '))

  const module = await manager.path()
  console.log(await module._callmethod('basename', ['/a/b.txt']))
}
