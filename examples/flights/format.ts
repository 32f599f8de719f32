/** A whole number with a comma between thousands: 12,345. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** Minutes with one decimal, with a real minus sign and without a minus zero: −2.9. */
export function formatMinutes(minutes: number): string {
  const text = Math.abs(minutes).toFixed(1)
  return minutes < 0 && text !== '0.0' ? `−${text}` : text
}

/** An hour of the clock in two digits: 05. */
export function formatHour(hour: number): string {
  return String(hour).padStart(2, '0')
}
