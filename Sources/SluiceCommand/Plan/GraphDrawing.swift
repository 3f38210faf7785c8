public import SluiceFlow

/// A graph as people and their tools read it: a tree for a terminal, Mermaid, Graphviz. Pure.
public enum GraphDrawing {
    // MARK: - A tree

    /// A tree below each network. What hangs in several places is drawn once in full and named where it comes again.
    public static func tree(_ plan: GraphPlan, style: Style) -> [String] {
        var drawn: Set<String> = []
        var lines: [String] = []
        for network in plan.nodes where network.kind == .network {
            lines.append(label(network, style))
            lines += branches(below: network, plan, style, indent: "", &drawn)
        }
        return lines
    }

    private static func branches(
        below node: GraphPlan.Node, _ plan: GraphPlan, _ style: Style, indent: String, _ drawn: inout Set<String>
    ) -> [String] {
        let edges = plan.edges.filter { $0.from == node.id }
        var lines: [String] = []
        for (index, edge) in edges.enumerated() {
            guard let target = plan.node(edge.to) else { continue }
            let isLast = index == edges.count - 1
            let isKnown = !drawn.insert(target.id).inserted
            let rest = isKnown ? "\(target.kind) \(style.bold(Visible.safe(target.name)))  \(style.dim("(above)"))" : label(target, style)
            lines.append(indent + (isLast ? "└─ " : "├─ ") + rest)
            if !isKnown { lines += branches(below: target, plan, style, indent: indent + (isLast ? "   " : "│  "), &drawn) }
        }
        return lines
    }

    private static func label(_ node: GraphPlan.Node, _ style: Style) -> String {
        let about = [node.pid].compactMap { $0 } + node.notes + marks(node)
        let text = about.isEmpty ? "" : "  " + style.dim(Visible.safe(about.joined(separator: ", ")))
        return "\(node.kind) \(style.bold(Visible.safe(node.name)))\(text)"
    }

    /// `shared by 3`, where that is worth a word.
    private static func marks(_ node: GraphPlan.Node) -> [String] {
        switch node.kind {
        case .oracle, .pipe, .aggregator: node.users > 1 ? ["shared by \(node.users)"] : []
        case .network, .sink: node.users == 0 ? ["not used"] : []
        case .pipeline: []
        }
    }

    /// What is written in a node of a picture, line by line.
    private static func lines(_ node: GraphPlan.Node) -> [String] {
        ["\(node.kind) \(node.name)"] + [node.pid].compactMap { $0 } + node.notes + marks(node)
    }

    // MARK: - Pictures

    /// A Mermaid flowchart, as code hosts draw it in Markdown.
    public static func mermaid(_ plan: GraphPlan) -> String {
        let names = identifiers(plan)
        var out = "flowchart LR\n"
        for node in plan.nodes {
            let (open, close) = shape(node.kind)
            let text = lines(node).map(mermaidText).joined(separator: "<br/>")
            out += "  \(names[node.id] ?? "n")\(open)\"\(text)\"\(close)\n"
        }
        for edge in plan.edges {
            guard let from = names[edge.from], let to = names[edge.to] else { continue }
            let label = edge.tables.isEmpty ? "" : "|\"\(mermaidText(edge.tables.joined(separator: ", ")))\"|"
            out += "  \(from) -->\(label) \(to)\n"
        }
        return out
    }

    private static func shape(_ kind: GraphPlan.Kind) -> (String, String) {
        switch kind {
        case .network: ("((", "))")
        case .oracle: ("([", "])")
        case .pipe: ("[", "]")
        case .aggregator: ("{{", "}}")
        case .pipeline: ("[[", "]]")
        case .sink: ("[(", ")]")
        }
    }

    /// Everything that means something to Mermaid or to HTML becomes an entity by its number.
    private static func mermaidText(_ text: String) -> String {
        Visible.safe(text).unicodeScalars.map { scalar in
            "\"#&<>;|`\\".unicodeScalars.contains(scalar) ? "#\(scalar.value);" : String(scalar)
        }.joined()
    }

    /// A graph for Graphviz: `sluice plan --format dot | dot -Tsvg`.
    public static func dot(_ plan: GraphPlan) -> String {
        let names = identifiers(plan)
        var out = "digraph sluice {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n"
        for node in plan.nodes {
            let shape =
                switch node.kind {
                case .network: "ellipse"
                case .oracle: "box, style=rounded"
                case .pipe: "box"
                case .aggregator: "hexagon"
                case .pipeline: "component"
                case .sink: "cylinder"
                }
            out += "  \(names[node.id] ?? "n") [label=\"\(lines(node).map(dotText).joined(separator: "\\n"))\", shape=\(shape)];\n"
        }
        for edge in plan.edges {
            guard let from = names[edge.from], let to = names[edge.to] else { continue }
            let label = edge.tables.isEmpty ? "" : " [label=\"\(edge.tables.map(dotText).joined(separator: "\\n"))\"]"
            out += "  \(from) -> \(to)\(label);\n"
        }
        return out + "}\n"
    }

    private static func dotText(_ text: String) -> String {
        Visible.safe(text).map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
    }

    /// Names that no format can misread.
    private static func identifiers(_ plan: GraphPlan) -> [String: String] {
        Dictionary(plan.nodes.enumerated().map { ($0.element.id, "n\($0.offset)") }, uniquingKeysWith: { first, _ in first })
    }

    // MARK: - JSON

    /// Nodes and edges.
    public static func json(_ plan: GraphPlan) -> JSON {
        .members([
            "nodes": .array(
                plan.nodes.map { node in
                    .members([
                        "id": .string(node.id), "kind": .string(node.kind.rawValue), "name": .string(node.name), "pid": .text(node.pid),
                        "notes": .array(node.notes.map { .string($0) }), "used_by": .integer(node.users),
                    ])
                }),
            "edges": .array(
                plan.edges.map { edge in
                    .members([
                        "from": .string(edge.from), "to": .string(edge.to), "tables": .array(edge.tables.map { .string($0) }),
                    ])
                }),
        ])
    }
}
