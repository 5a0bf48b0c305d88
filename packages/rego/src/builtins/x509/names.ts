import { bytesToText } from '../../value/index.ts'
import { malformed, TAG, type DerNode } from './der.ts'

/** One attribute of a distinguished name. */
export type Attribute = { readonly type: string; readonly value: string }

export type Name = { readonly raw: Uint8Array<ArrayBuffer>; readonly attributes: readonly Attribute[] }

export function parseName(node: DerNode): Name {
  const attributes: Attribute[] = []
  for (const set of node.expect(TAG.sequence).children()) {
    for (const pair of set.expect(TAG.set).children()) {
      const [type, value] = pair.expect(TAG.sequence).children()
      if (type === undefined || value === undefined) throw malformed('a name attribute has no value')
      attributes.push({ type: type.oid(), value: textOf(value) })
    }
  }
  return { raw: node.raw, attributes }
}

/** Character strings of any kind; BMP strings are UTF-16. */
function textOf(node: DerNode): string {
  if (node.tag !== 30) return bytesToText(node.content)
  return new TextDecoder('utf-16be').decode(node.content)
}
