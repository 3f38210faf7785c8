import SluiceCatalog
import SluiceCommand
import SluiceCore

/// The registers, for people, programs and the documentation.
enum RegisterPages {
    static func json(_ register: Register, tables: Bool) -> JSON {
        .members([
            "register": .string(register.name), "number": .integer(UInt64(register.number.rawValue)), "kind": .string("\(register.kind)"),
            "doc": .string(register.doc), "dependencies": .array(register.dependencies.map { .string($0) }),
            "addressed": .bool(register.isAddressed), "state_key": .text(register.stateKey?.description),
            "tables": .array(register.schemas.map { tables ? json($0) : .string($0.name) }),
        ])
    }

    static func json(_ schema: Schema) -> JSON {
        .members([
            "table": .string(schema.name), "doc": .string(schema.doc), "key": .array(schema.key.map { .string($0) }),
            "columns": .array(
                schema.fields.map {
                    .members([
                        "column": .string($0.name), "type": .string($0.type.name), "nullable": .bool($0.nullable), "doc": .string($0.doc),
                    ])
                }),
        ])
    }

    static func text(_ style: Style) -> [String] {
        Catalog.registers.flatMap { register -> [String] in
            let after = register.dependencies.isEmpty ? "" : ", made from \(register.dependencies.joined(separator: ", "))"
            let about = "\(register.kind), number \(register.number.rawValue)\(after)\(addressed(register))"
            return ["\(style.bold(register.name))  \(style.dim(about))", "  \(register.doc)"]
                + register.schemas.map { "  table \($0.name): \($0.fields.count) columns, one row by \($0.key.joined(separator: ", "))" }
                + [""]
        }.dropLast()
    }

    private static func addressed(_ register: Register) -> String {
        register.isAddressed ? ", addressed" + (register.stateKey.map { " by \($0)" } ?? "") : ""
    }

    static func markdown() -> String {
        var out = "| register | number | kind | made from | addressed | tables | what |\n|---|---|---|---|---|---|---|\n"
        for register in Catalog.registers {
            let tables = register.schemas.map { "[`\($0.name)`](#\($0.name))" }.joined(separator: ", ")
            let after = register.dependencies.map { "`\($0)`" }.joined(separator: ", ")
            let key = register.isAddressed ? register.stateKey.map { "`\($0)`" } ?? "yes" : ""
            out +=
                "| `\(register.name)` | \(register.number.rawValue) | \(register.kind) | \(after) | \(key) | \(tables) | \(register.doc) |\n"
        }
        var seen: Set<String> = []
        for schema in Catalog.registers.flatMap(\.schemas) where seen.insert(schema.name).inserted {
            out +=
                "\n## \(schema.name)\n\n\(schema.doc) A row is identified by \(schema.key.map { "`\($0)`" }.joined(separator: ", ")).\n\n"
            out += "| column | type | null | meaning |\n|---|---|---|---|\n"
            for field in schema.fields {
                out += "| `\(field.name)` | \(field.type.name) | \(field.nullable ? "yes" : "") | \(field.doc) |\n"
            }
        }
        return out
    }
}
