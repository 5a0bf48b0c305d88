/**
 * Text that others chose, for one line on a terminal: what would move the cursor, end the line or turn the direction of
 * writing is shown as its number. An image must not be able to write the line that its approver reads.
 */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
