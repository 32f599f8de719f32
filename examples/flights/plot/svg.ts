/** Text made safe to stand in an SVG, between tags or inside double quotes. */
export function escapeText(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** Attributes of an element; numbers are rounded to a hundredth of a pixel. */
export type Attributes = Record<string, string | number>

/**
 * One SVG element.
 *
 * @param name  its tag
 * @param attributes  its attributes, not yet escaped
 * @param children  finished elements or escaped text
 */
export function element(name: string, attributes: Attributes, ...children: string[]): string {
  const written = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? px(value) : escapeText(value)}"`)
    .join('')
  return children.length === 0
    ? `<${name}${written}/>`
    : `<${name}${written}>${children.join('')}</${name}>`
}

/** A line of text. */
export function textAt(x: number, y: number, text: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escapeText(text))
}

/** A straight line. */
export function line(
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  attributes: Attributes,
): string {
  return element('line', { x1, y1, x2, y2, ...attributes })
}

/** The coordinates of a polyline or polygon. */
export function points(corners: (readonly [x: number, y: number])[]): string {
  return corners.map(([x, y]) => `${px(x)},${px(y)}`).join(' ')
}

function px(value: number): string {
  return String(Math.round(value * 100) / 100)
}
