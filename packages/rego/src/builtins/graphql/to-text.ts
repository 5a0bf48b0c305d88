import { isArray, isRecord, recordGet, type RegoRecord, type Value } from '../../value/index.ts'
import { BuiltinError } from '../contract.ts'
import { VALUE_KINDS } from './to-value.ts'

/** Writes syntax trees that policies pass as objects back to text, so that there is one way into the validator. */

function get(v: RegoRecord, name: string): string {
  const s = recordGet(v, name)
  if (s === undefined) return ''
  if (typeof s !== 'string') throw new BuiltinError(`graphql: ${name} must be a string`)
  // names end up in a text that is parsed again: they may be nothing but names
  if (name !== 'Raw' && name !== 'Description' && !/^[_A-Za-z0-9]*$/.test(s)) {
    throw new BuiltinError(`graphql: ${JSON.stringify(s)} is not a name`)
  }
  return s
}

function list(v: RegoRecord, name: string): readonly RegoRecord[] {
  const all = recordGet(v, name)
  if (all === undefined || all === null) return []
  if (!isArray(all) || !all.every((x) => isRecord(x)))
    throw new BuiltinError(`graphql: ${name} must be a list of objects`)
  return all.filter((x) => isRecord(x))
}

function names(v: RegoRecord, name: string): readonly string[] {
  const all = recordGet(v, name)
  if (all === undefined || all === null) return []
  if (!isArray(all)) throw new BuiltinError(`graphql: ${name} must be a list`)
  return all.map((x) => get({ Name: x }, 'Name'))
}

function valueText(v: Value | undefined): string {
  if (!isRecord(v)) throw new BuiltinError('graphql: a value is missing')
  const raw = get(v, 'Raw')
  const children = list(v, 'Children')
  switch (recordGet(v, 'Kind')) {
    case VALUE_KINDS.variable:
      return `$${get({ Name: raw }, 'Name')}`
    case VALUE_KINDS.string:
    case VALUE_KINDS.block:
      return JSON.stringify(raw)
    case VALUE_KINDS.list:
      return `[${children.map((c) => valueText(recordGet(c, 'Value'))).join(' ')}]`
    case VALUE_KINDS.object:
      return `{${children.map((c) => `${get(c, 'Name')}: ${valueText(recordGet(c, 'Value'))}`).join(' ')}}`
    default:
      if (!/^[-+.\w]+$/.test(raw)) throw new BuiltinError('graphql: malformed value')
      return raw
  }
}

function argumentsText(v: RegoRecord): string {
  const all = list(v, 'Arguments').map((a) => `${get(a, 'Name')}: ${valueText(recordGet(a, 'Value'))}`)
  return all.length === 0 ? '' : `(${all.join(' ')})`
}

function directivesText(v: RegoRecord): string {
  return list(v, 'Directives')
    .map((d) => ` @${get(d, 'Name')}${argumentsText(d)}`)
    .join('')
}

function typeText(v: Value | undefined): string {
  if (!isRecord(v)) throw new BuiltinError('graphql: a type is missing')
  const element = recordGet(v, 'Elem')
  const inner = element === undefined || element === null ? get(v, 'NamedType') : `[${typeText(element)}]`
  return recordGet(v, 'NonNull') === true ? `${inner}!` : inner
}

function block(parts: readonly string[]): string {
  return parts.length === 0 ? '' : ` { ${parts.join('\n')} }`
}

function selectionText(v: RegoRecord): string {
  const selections = block(list(v, 'SelectionSet').map(selectionText))
  if (recordGet(v, 'Alias') !== undefined) {
    return `${get(v, 'Alias')}: ${get(v, 'Name')}${argumentsText(v)}${directivesText(v)}${selections}`
  }
  if (recordGet(v, 'Name') !== undefined) return `...${get(v, 'Name')}${directivesText(v)}`
  const condition = get(v, 'TypeCondition')
  return `...${condition === '' ? '' : ` on ${condition}`}${directivesText(v)}${selections}`
}

function variableText(v: RegoRecord): string {
  return `$${get(v, 'Variable')}: ${typeText(recordGet(v, 'Type'))}${defaultText(v)}${directivesText(v)}`
}

function defaultText(v: RegoRecord): string {
  const value = recordGet(v, 'DefaultValue')
  return value === undefined || value === null ? '' : ` = ${valueText(value)}`
}

function variablesText(v: RegoRecord, name: string): string {
  const all = list(v, name).map(variableText)
  return all.length === 0 ? '' : `(${all.join(' ')})`
}

export function queryToText(v: RegoRecord): string {
  const operations = list(v, 'Operations').map(
    (o) =>
      `${get(o, 'Operation')} ${get(o, 'Name')}${variablesText(o, 'VariableDefinitions')}${directivesText(o)}` +
      block(list(o, 'SelectionSet').map(selectionText)),
  )
  const fragments = list(v, 'Fragments').map(
    (f) =>
      `fragment ${get(f, 'Name')} on ${get(f, 'TypeCondition')}${directivesText(f)}` +
      block(list(f, 'SelectionSet').map(selectionText)),
  )
  return [...operations, ...fragments].join('\n')
}

function described(v: RegoRecord): string {
  const text = get(v, 'Description')
  return text === '' ? '' : `${JSON.stringify(text)} `
}

function inputText(v: RegoRecord): string {
  return `${described(v)}${get(v, 'Name')}: ${typeText(recordGet(v, 'Type'))}${defaultText(v)}${directivesText(v)}`
}

function fieldText(v: RegoRecord): string {
  const inputs = list(v, 'Arguments').map(inputText)
  const shown = inputs.length === 0 ? '' : `(${inputs.join(' ')})`
  return `${described(v)}${get(v, 'Name')}${shown}: ${typeText(recordGet(v, 'Type'))}${defaultText(v)}${directivesText(v)}`
}

function definitionText(v: RegoRecord, prefix: string): string {
  const name = get(v, 'Name')
  const interfaces = names(v, 'Interfaces')
  const implementing = interfaces.length === 0 ? '' : ` implements ${interfaces.join(' & ')}`
  const start = (keyword: string): string => `${described(v)}${prefix}${keyword} ${name}`
  const fields = block(list(v, 'Fields').map(fieldText))
  switch (get(v, 'Kind')) {
    case 'SCALAR':
      return start('scalar') + directivesText(v)
    case 'OBJECT':
      return start('type') + implementing + directivesText(v) + fields
    case 'INTERFACE':
      return start('interface') + implementing + directivesText(v) + fields
    case 'UNION': {
      const types = names(v, 'Types')
      return start('union') + directivesText(v) + (types.length === 0 ? '' : ` = ${types.join(' | ')}`)
    }
    case 'ENUM': {
      const values = list(v, 'EnumValues').map((e) => `${described(e)}${get(e, 'Name')}${directivesText(e)}`)
      return start('enum') + directivesText(v) + block(values)
    }
    case 'INPUT_OBJECT':
      return start('input') + directivesText(v) + fields
    default:
      throw new BuiltinError('graphql: unknown kind of definition')
  }
}

function schemaDefinitionText(v: RegoRecord, prefix: string): string {
  const operations = list(v, 'OperationTypes').map((o) => `${get(o, 'Operation')}: ${get(o, 'Type')}`)
  return `${described(v)}${prefix}schema${directivesText(v)}${block(operations)}`
}

function directiveDefinitionText(v: RegoRecord): string {
  const inputs = list(v, 'Arguments').map(inputText)
  const shown = inputs.length === 0 ? '' : `(${inputs.join(' ')})`
  const repeatable = recordGet(v, 'IsRepeatable') === true ? ' repeatable' : ''
  return `${described(v)}directive @${get(v, 'Name')}${shown}${repeatable} on ${names(v, 'Locations').join(' | ')}`
}

export function schemaToText(v: RegoRecord): string {
  return [
    ...list(v, 'Schema').map((s) => schemaDefinitionText(s, '')),
    ...list(v, 'SchemaExtension').map((s) => schemaDefinitionText(s, 'extend ')),
    ...list(v, 'Directives').map(directiveDefinitionText),
    ...list(v, 'Definitions').map((d) => definitionText(d, '')),
    ...list(v, 'Extensions').map((d) => definitionText(d, 'extend ')),
  ].join('\n')
}
