import { printable } from './printable.ts'

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })
/** What takes no room of its own: marks without a letter, joiners, selectors. */
const UNSEEN = /^[\p{Mn}\p{Me}\p{Cf}]+$/u
const EMOJI = /^\p{RGI_Emoji}$/v
/** East Asian Width W and F by their scripts and blocks; JavaScript knows no property for it. Halfwidth forms are narrow. */
const WIDE =
  /^(?![\uff61-\uffdc\uffe8-\uffee])[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Yi}\p{Script=Tangut}\p{Script=Nushu}\u1100-\u115f\ua960-\ua97c\uac00-\ud7a3\u3000-\u303e\u3131-\u318e\u3200-\u33ff\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6]/u

/** How many columns of a terminal a text takes. Nothing in it may move the cursor: see `printable`. */
export function columnsOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let columns = 0
  for (const { segment } of graphemes.segment(text))
    if (!UNSEEN.test(segment)) columns += EMOJI.test(segment) || WIDE.test(segment) ? 2 : 1
  return columns
}

/** A table of text with columns padded to their widest cell; a cell cannot write a line, or a colour, of its own. */
export function table(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map((cell) => printable(cell)))
  const widths = (shown[0] ?? []).map((_, column) => Math.max(...shown.map((row) => columnsOf(row[column] ?? ''))))
  return shown
    .map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : pad(cell, widths[i] ?? 0))).join('  '))
    .join('\n')
}

function pad(cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - columnsOf(cell)))
}
