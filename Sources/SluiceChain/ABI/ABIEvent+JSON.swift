public import SluiceCore

extension ABIEvent {
    /// The events of a JSON ABI: an array as compilers write it, or an object that has one as its `abi` (what build tools wrap
    /// around it). Functions, errors and constructors are left out.
    /// - Throws: `abi_signature` (class `config`) with line and column, and what to do about it.
    public static func events(json text: String) throws(SluiceError) -> [ABIEvent] {
        var reader = JSONTreeReader(
            text, reading: "a JSON ABI", code: .abiSignature, remedy: "give the JSON that the compiler wrote, as it is")
        let document = try reader.document()
        return try ABIJSONEvents(reader: reader).events(document)
    }
}

/// Takes the events out of an ABI that was read.
private struct ABIJSONEvents {
    /// Knows the text, for messages.
    let reader: JSONTreeReader

    func events(_ document: JSONNode) throws(SluiceError) -> [ABIEvent] {
        guard let entries = (document["abi"] ?? document).items else {
            throw reader.fault(
                at: document.offset, "this is neither an array nor an object with one as its 'abi'", "give the contract's ABI")
        }
        var events: [ABIEvent] = []
        for entry in entries where entry["type"]?.text == "event" { events.append(try event(entry)) }
        return events
    }

    private func event(_ entry: JSONNode) throws(SluiceError) -> ABIEvent {
        guard let name = entry["name"]?.text, !name.isEmpty else {
            throw reader.fault(at: entry.offset, "an event has no 'name'", "give the JSON that the compiler wrote, as it is")
        }
        var inputs: [ABIEvent.Input] = []
        for input in try items(entry, "inputs") {
            let component = try component(input, depth: 0)
            inputs.append(ABIEvent.Input(component.type, component.name, isIndexed: input["indexed"]?.flag ?? false))
        }
        do {
            return try ABIEvent(name: name, inputs: inputs, isAnonymous: entry["anonymous"]?.flag ?? false)
        } catch { throw reader.fault(at: entry.offset, error.message, error.mend ?? "check it against the contract") }
    }

    private func component(_ node: JSONNode, depth: Int) throws(SluiceError) -> ABIComponent {
        guard let type = node["type"], let text = type.text else {
            throw reader.fault(at: node.offset, "an argument has no 'type'", "give the JSON that the compiler wrote, as it is")
        }
        var members: [ABIComponent]?
        // The reader bounds how deep this goes.
        if text.hasPrefix("tuple") {
            members = []
            for member in try items(node, "components") { members?.append(try component(member, depth: depth + 1)) }
        }
        do {
            var parser = ABISignatureParser(text, what: "type")
            return ABIComponent(try parser.wholeType(members: members), node["name"]?.text ?? "")
        } catch { throw reader.fault(at: type.offset, error.message, error.mend ?? "check it against the contract") }
    }

    private func items(_ node: JSONNode, _ name: String) throws(SluiceError) -> [JSONNode] {
        guard let items = node[name]?.items else {
            throw reader.fault(at: node.offset, "'\(name)' is missing or no array", "give the JSON that the compiler wrote, as it is")
        }
        return items
    }
}
