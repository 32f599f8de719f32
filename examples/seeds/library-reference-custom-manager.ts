/** A manager for a class of the program. */
import { isMainProcess } from 'node-multiprocessing'
import { BaseManager } from 'node-multiprocessing/managers'

export class MathsClass {
  add(x: number, y: number): number {
    return x + y
  }

  mul(x: number, y: number): number {
    return x * y
  }
}

class Custom extends BaseManager {}
export const MyManager = Custom.register('Maths', MathsClass)

if (isMainProcess) {
  await using manager = new MyManager()
  await manager.start()
  const maths = await manager.Maths()
  console.log(await maths.add(4, 3)) // prints 7
  console.log(await maths.mul(7, 8)) // prints 56
}
