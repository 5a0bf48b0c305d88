import {
  Kind,
  type ArgumentNode,
  type ConstArgumentNode,
  type DefinitionNode,
  type DirectiveNode,
  type DocumentNode,
  type FieldDefinitionNode,
  type InputValueDefinitionNode,
  type NamedTypeNode,
  type OperationTypeDefinitionNode,
  type SelectionNode,
  type StringValueNode,
  type TypeNode,
  type ValueNode,
  type VariableDefinitionNode,
} from 'graphql'
import { newRecord, type MutableRecord, type Value } from '../../value/index.ts'

/** Syntax trees in the shape of the Go parser that OPA uses: lists that are empty are left out. */

function record(members: Readonly<Record<string, Value | undefined>>): MutableRecord {
  const out = newRecord()
  for (const [name, v] of Object.entries(members)) if (v !== undefined) out[name] = v
  return out
}

function listOf<N>(nodes: readonly N[] | undefined, convert: (node: N) => Value): Value | undefined {
  return nodes === undefined || nodes.length === 0 ? undefined : nodes.map(convert)
}

/** Go's numbers for kinds of values. */
export const VALUE_KINDS = {
  variable: 0,
  int: 1,
  float: 2,
  string: 3,
  block: 4,
  boolean: 5,
  null: 6,
  enum: 7,
  list: 8,
  object: 9,
} as const

function value(kind: number, raw: string, children?: Value): Value {
  return record({ Children: children, ExpectedTypeHasDefault: false, Kind: kind, Raw: raw })
}

function valueOf(node: ValueNode): Value {
  switch (node.kind) {
    case Kind.VARIABLE:
      return value(VALUE_KINDS.variable, node.name.value)
    case Kind.INT:
      return value(VALUE_KINDS.int, node.value)
    case Kind.FLOAT:
      return value(VALUE_KINDS.float, node.value)
    case Kind.STRING:
      return value(node.block === true ? VALUE_KINDS.block : VALUE_KINDS.string, node.value)
    case Kind.BOOLEAN:
      return value(VALUE_KINDS.boolean, String(node.value))
    case Kind.NULL:
      return value(VALUE_KINDS.null, 'null')
    case Kind.ENUM:
      return value(VALUE_KINDS.enum, node.value)
    case Kind.LIST:
      return value(
        VALUE_KINDS.list,
        '',
        listOf(node.values, (v) => child('', v)),
      )
    case Kind.OBJECT:
      return value(
        VALUE_KINDS.object,
        '',
        listOf(node.fields, (f) => child(f.name.value, f.value)),
      )
  }
}

function child(name: string, node: ValueNode): Value {
  return record({ Name: name, Value: valueOf(node) })
}

function typeOf(node: TypeNode): MutableRecord {
  if (node.kind === Kind.NON_NULL_TYPE) return Object.assign(typeOf(node.type), { NonNull: true })
  if (node.kind === Kind.LIST_TYPE) return record({ Elem: typeOf(node.type), NamedType: '', NonNull: false })
  return record({ NamedType: node.name.value, NonNull: false })
}

function argumentOf(node: ArgumentNode | ConstArgumentNode): Value {
  return child(node.name.value, node.value)
}

function directiveOf(node: DirectiveNode): Value {
  return record({ Arguments: listOf(node.arguments, argumentOf), Location: '', Name: node.name.value })
}

function directivesOf(nodes: readonly DirectiveNode[] | undefined): Value | undefined {
  return listOf(nodes, directiveOf)
}

function selectionOf(node: SelectionNode): Value {
  const directives = directivesOf(node.directives)
  switch (node.kind) {
    case Kind.FIELD:
      return record({
        Alias: node.alias?.value ?? node.name.value,
        Arguments: listOf(node.arguments, argumentOf),
        Directives: directives,
        Name: node.name.value,
        SelectionSet: listOf(node.selectionSet?.selections, selectionOf),
      })
    case Kind.FRAGMENT_SPREAD:
      return record({ Directives: directives, Name: node.name.value })
    case Kind.INLINE_FRAGMENT:
      return record({
        Directives: directives,
        SelectionSet: listOf(node.selectionSet.selections, selectionOf),
        TypeCondition: node.typeCondition?.name.value ?? '',
      })
  }
}

function variableOf(node: VariableDefinitionNode): Value {
  return record({
    DefaultValue: node.defaultValue === undefined ? undefined : valueOf(node.defaultValue),
    Directives: directivesOf(node.directives),
    Type: typeOf(node.type),
    Used: false,
    Variable: node.variable.name.value,
  })
}

/** A query document. */
export function queryToValue(document: DocumentNode): Value {
  const operations: Value[] = []
  const fragments: Value[] = []
  for (const node of document.definitions) {
    if (node.kind === Kind.OPERATION_DEFINITION) {
      operations.push(
        record({
          Directives: directivesOf(node.directives),
          Name: node.name?.value ?? '',
          Operation: node.operation,
          SelectionSet: listOf(node.selectionSet.selections, selectionOf),
          VariableDefinitions: listOf(node.variableDefinitions, variableOf),
        }),
      )
    } else if (node.kind === Kind.FRAGMENT_DEFINITION) {
      fragments.push(
        record({
          Directives: directivesOf(node.directives),
          Name: node.name.value,
          SelectionSet: listOf(node.selectionSet.selections, selectionOf),
          TypeCondition: node.typeCondition.name.value,
          VariableDefinition: listOf(node.variableDefinitions, variableOf),
        }),
      )
    }
  }
  return record({ Fragments: listOf(fragments, (f) => f), Operations: listOf(operations, (o) => o) })
}

function described(node: { readonly description?: StringValueNode | undefined }): string {
  return node.description?.value ?? ''
}

function inputOf(node: InputValueDefinitionNode): Value {
  return record({
    DefaultValue: node.defaultValue === undefined ? undefined : valueOf(node.defaultValue),
    Description: described(node),
    Directives: directivesOf(node.directives),
    Name: node.name.value,
    Type: typeOf(node.type),
  })
}

function fieldOf(node: FieldDefinitionNode): Value {
  return record({
    Arguments: listOf(node.arguments, inputOf),
    Description: described(node),
    Directives: directivesOf(node.directives),
    Name: node.name.value,
    Type: typeOf(node.type),
  })
}

function namesOf(nodes: readonly NamedTypeNode[] | undefined): Value | undefined {
  return listOf(nodes, (n) => n.name.value)
}

function operationTypeOf(node: OperationTypeDefinitionNode): Value {
  return record({ Operation: node.operation, Type: node.type.name.value })
}

/** The parts that only some kinds of types have. */
function partsOf(node: DefinitionNode): Readonly<Record<string, Value | undefined>> | undefined {
  switch (node.kind) {
    case Kind.SCALAR_TYPE_DEFINITION:
    case Kind.SCALAR_TYPE_EXTENSION:
      return { Kind: 'SCALAR' }
    case Kind.OBJECT_TYPE_DEFINITION:
    case Kind.OBJECT_TYPE_EXTENSION:
      return { Kind: 'OBJECT', Interfaces: namesOf(node.interfaces), Fields: listOf(node.fields, fieldOf) }
    case Kind.INTERFACE_TYPE_DEFINITION:
    case Kind.INTERFACE_TYPE_EXTENSION:
      return { Kind: 'INTERFACE', Interfaces: namesOf(node.interfaces), Fields: listOf(node.fields, fieldOf) }
    case Kind.UNION_TYPE_DEFINITION:
    case Kind.UNION_TYPE_EXTENSION:
      return { Kind: 'UNION', Types: namesOf(node.types) }
    case Kind.ENUM_TYPE_DEFINITION:
    case Kind.ENUM_TYPE_EXTENSION:
      return {
        Kind: 'ENUM',
        EnumValues: listOf(node.values, (v) =>
          record({ Description: described(v), Directives: directivesOf(v.directives), Name: v.name.value }),
        ),
      }
    case Kind.INPUT_OBJECT_TYPE_DEFINITION:
    case Kind.INPUT_OBJECT_TYPE_EXTENSION:
      return { Kind: 'INPUT_OBJECT', Fields: listOf(node.fields, inputOf) }
    default:
      return undefined
  }
}

/** A schema document. */
export function schemaToValue(document: DocumentNode): Value {
  const lists: Record<'Schema' | 'SchemaExtension' | 'Directives' | 'Definitions' | 'Extensions', Value[]> = {
    Schema: [],
    SchemaExtension: [],
    Directives: [],
    Definitions: [],
    Extensions: [],
  }
  for (const node of document.definitions) {
    if (node.kind === Kind.SCHEMA_DEFINITION || node.kind === Kind.SCHEMA_EXTENSION) {
      const schema = record({
        Description: 'description' in node ? described(node) : '',
        Directives: directivesOf(node.directives),
        OperationTypes: listOf(node.operationTypes, operationTypeOf),
      })
      lists[node.kind === Kind.SCHEMA_DEFINITION ? 'Schema' : 'SchemaExtension'].push(schema)
    } else if (node.kind === Kind.DIRECTIVE_DEFINITION) {
      lists.Directives.push(
        record({
          Arguments: listOf(node.arguments, inputOf),
          Description: described(node),
          IsRepeatable: node.repeatable,
          Locations: listOf(node.locations, (l) => l.value),
          Name: node.name.value,
        }),
      )
    } else {
      const parts = partsOf(node)
      if (parts === undefined || !('name' in node) || node.name === undefined) continue
      const definition = record({
        BuiltIn: false,
        Description: 'description' in node ? described(node) : '',
        Directives: directivesOf('directives' in node ? node.directives : undefined),
        Name: node.name.value,
        ...parts,
      })
      lists[node.kind.endsWith('Extension') ? 'Extensions' : 'Definitions'].push(definition)
    }
  }
  return record(Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, listOf(list, (v) => v)])))
}
