import type { Builtin } from '../contract.ts'
import { declared, define, O } from '../define.ts'
import { T } from '../types.ts'
import { renderTemplate } from './render.ts'

export const TEMPLATE: readonly Builtin[] = [
  define('strings.render_template', [O.string, declared(O.object, T.object(T.string))], T.string, renderTemplate),
]
