/** Measures of the plot, in pixels. */
export const WIDTH = 1000
export const HEIGHT = 660
export const LEFT = 92
export const RIGHT = 972
/** Between two panels, with room for the numbers of the right one's axis. */
export const GAP = 64
export const TOP = 118
export const BOTTOM = 430
export const BARS_TOP = 456
export const BARS_BOTTOM = 526
/** Where the titles of the vertical axes stand. */
export const AXIS_TITLE = 26

export const INK = '#1f2933'
export const MUTED = '#5b6875'
export const GRID = '#e6eaee'
export const ZERO = '#9aa5b1'
export const BAR = '#cdd6df'
export const MEAN = '#0b6e8a'
export const BAND = '#8ecbdc'
export const BAND_OPACITY = 0.5
export const FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
