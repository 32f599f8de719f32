/**
 * Python's `datetime`: dates and times without the loss of microseconds and time zones, and what they are
 * as bytes.
 * @module
 */

const two = (value: number): string => String(value).padStart(2, '0')
const four = (value: number): string => String(value).padStart(4, '0')
const fraction = (microsecond: number): string =>
  microsecond === 0 ? '' : `.${String(microsecond).padStart(6, '0')}`

const whole = (value: unknown, least: number, most: number, name: string): number => {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
    throw new RangeError(`${name} must be a whole number from ${least} to ${most}`)
  }
  return value as number
}

const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** A Python `datetime.date`. */
export class CalendarDate {
  readonly year: number
  /** From 1 on. */
  readonly month: number
  readonly day: number

  constructor(year: number, month: number, day: number) {
    this.year = whole(year, 1, 9999, 'year')
    this.month = whole(month, 1, 12, 'month')
    this.day = whole(day, 1, DAYS[month - 1]!, 'day')
  }

  /** Such as `2024-02-29`. */
  toString(): string {
    return `${four(this.year)}-${two(this.month)}-${two(this.day)}`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** A Python `datetime.timedelta`: days, and seconds and microseconds that are not negative. */
export class TimeDelta {
  readonly days: number
  readonly seconds: number
  readonly microseconds: number

  constructor(days = 0, seconds = 0, microseconds = 0) {
    const carried = seconds + Math.floor(microseconds / 1e6)
    this.days = whole(days + Math.floor(carried / 86400), -999999999, 999999999, 'days')
    this.seconds = whole(carried - Math.floor(carried / 86400) * 86400, 0, 86399, 'seconds')
    this.microseconds = whole(
      microseconds - Math.floor(microseconds / 1e6) * 1e6,
      0,
      999999,
      'microseconds',
    )
  }

  /** All of it in milliseconds. */
  get milliseconds(): number {
    return (this.days * 86400 + this.seconds) * 1000 + this.microseconds / 1000
  }

  /** All of it in milliseconds, so that it can be compared and added to a time. */
  valueOf(): number {
    return this.milliseconds
  }
}

/** A Python `datetime.timezone`: a fixed distance from UTC. */
export class TimeZone {
  readonly offset: TimeDelta
  readonly name: string | null

  constructor(offset: TimeDelta, name: string | null = null) {
    this.offset = offset
    this.name = name
  }
}

/** A Python `datetime.time`. */
export class TimeOfDay {
  readonly hour: number
  readonly minute: number
  readonly second: number
  readonly microsecond: number
  /** A {@link TimeZone}, null for none, or the record of another kind. */
  readonly timeZone: any
  /** 1 for the second of two times that are called the same, when clocks are set back. */
  readonly fold: number

  constructor(
    hour: number,
    minute = 0,
    second = 0,
    microsecond = 0,
    timeZone: any = null,
    fold = 0,
  ) {
    this.hour = whole(hour, 0, 23, 'hour')
    this.minute = whole(minute, 0, 59, 'minute')
    this.second = whole(second, 0, 59, 'second')
    this.microsecond = whole(microsecond, 0, 999999, 'microsecond')
    this.timeZone = timeZone
    this.fold = whole(fold, 0, 1, 'fold')
  }

  /** Such as `12:30:00.000001`, without the time zone. */
  toString(): string {
    const { hour, minute, second, microsecond } = this
    return `${two(hour)}:${two(minute)}:${two(second)}${fraction(microsecond)}`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** A Python `datetime.datetime`, whole. */
export class DateTime extends CalendarDate {
  readonly hour: number
  readonly minute: number
  readonly second: number
  readonly microsecond: number
  /** A {@link TimeZone}, null for none, or the record of another kind. */
  readonly timeZone: any
  /** 1 for the second of two times that are called the same, when clocks are set back. */
  readonly fold: number

  constructor(
    year: number,
    month: number,
    day: number,
    hour = 0,
    minute = 0,
    second = 0,
    microsecond = 0,
    timeZone: any = null,
    fold = 0,
  ) {
    super(year, month, day)
    this.hour = whole(hour, 0, 23, 'hour')
    this.minute = whole(minute, 0, 59, 'minute')
    this.second = whole(second, 0, 59, 'second')
    this.microsecond = whole(microsecond, 0, 999999, 'microsecond')
    this.timeZone = timeZone
    this.fold = whole(fold, 0, 1, 'fold')
  }

  /** Such as `2024-02-29T12:30:00.000001`, without the time zone. */
  override toString(): string {
    const { hour, minute, second, microsecond } = this
    const time = `${two(hour)}:${two(minute)}:${two(second)}${fraction(microsecond)}`
    return `${super.toString()}T${time}`
  }

  /**
   * The same moment, to the millisecond. One without a time zone is meant in that of this process, as
   * Python's `timestamp()` takes it.
   *
   * @throws RangeError for a time zone that is only a record.
   */
  toDate(): Date {
    const { year, month, day, hour, minute, second, microsecond, timeZone } = this
    const milliseconds = Math.floor(microsecond / 1000)
    if (timeZone === null) {
      const date = new Date(2000, month - 1, 1, hour, minute, second, milliseconds)
      date.setFullYear(year, month - 1, day)
      return date
    }
    if (!(timeZone instanceof TimeZone)) throw new RangeError('the time zone is not known here')
    const date = new Date(0)
    date.setUTCFullYear(year, month - 1, day)
    date.setUTCHours(hour, minute, second, milliseconds)
    return new Date(date.getTime() - timeZone.offset.milliseconds)
  }
}

const numbers = (bytes: Uint8Array, from: number): [number, number, number, number] => [
  bytes[from]!,
  bytes[from + 1]!,
  bytes[from + 2]!,
  bytes[from + 3]! * 65536 + bytes[from + 4]! * 256 + bytes[from + 5]!,
]

/** A `datetime` from its ten bytes. */
export const dateTimeFrom = (bytes: Uint8Array, timeZone: unknown): DateTime => {
  if (bytes.length !== 10) throw new RangeError('a datetime has 10 bytes')
  const month = bytes[2]!
  return new DateTime(
    bytes[0]! * 256 + bytes[1]!,
    month & 0x7f,
    bytes[3]!,
    ...numbers(bytes, 4),
    timeZone,
    month >>> 7,
  )
}

/** A `date` from its four bytes. */
export const dateFrom = (bytes: Uint8Array): CalendarDate => {
  if (bytes.length !== 4) throw new RangeError('a date has 4 bytes')
  return new CalendarDate(bytes[0]! * 256 + bytes[1]!, bytes[2]!, bytes[3]!)
}

/** A `time` from its six bytes. */
export const timeFrom = (bytes: Uint8Array, timeZone: unknown): TimeOfDay => {
  if (bytes.length !== 6) throw new RangeError('a time has 6 bytes')
  const [hour, ...rest] = numbers(bytes, 0)
  return new TimeOfDay(hour & 0x7f, ...rest, timeZone, hour >>> 7)
}

const microseconds = (value: number): number[] => [value >>> 16, (value >>> 8) & 255, value & 255]

/** The bytes of a date, to which those of a time may be added. */
export const dateBytes = ({ year, month, day }: CalendarDate, fold = 0): number[] => [
  year >>> 8,
  year & 255,
  month | (fold << 7),
  day,
]

/** The bytes of a time. */
export const timeBytes = (
  {
    hour,
    minute,
    second,
    microsecond,
  }: Pick<TimeOfDay, 'hour' | 'minute' | 'second' | 'microsecond'>,
  fold = 0,
): number[] => [hour | (fold << 7), minute, second, ...microseconds(microsecond)]

/** A moment as a `datetime` in UTC. */
export const inUtc = (date: Date): DateTime =>
  new DateTime(
    date.getUTCFullYear(),
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    date.getUTCMilliseconds() * 1000,
    new TimeZone(new TimeDelta()),
  )
