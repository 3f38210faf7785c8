"""What tables made of recorded blocks must add up to, worked out from the recorded JSON alone.

    recorded.py sums FILE [COUNT]     sums over the blocks in order, over and over until there are COUNT of them
    recorded.py runs FILE             the runs of consecutive numbers, as [[first, last], ...]
"""
import json
import subprocess
import sys

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
SINGLE = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
BATCH = "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"


def lines(path):
    if path.endswith(".zst"):
        text = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    else:
        with open(path, "rb") as file:
            text = file.read()
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def number(text):
    return int(text, 16) if text else 0


def is_address(topic):
    return topic[2:26] == "0" * 24


def words(data):
    return [int(data[at : at + 64], 16) for at in range(2, len(data) - 63, 64)]


def array(data, head):
    """A dynamic array as the ABI lays it out; None where the data is too short for what it says."""
    content = words(data)
    if head >= len(content) or content[head] % 32 or content[head] // 32 >= len(content):
        return None
    start = content[head] // 32
    found = content[start + 1 : start + 1 + content[start]]
    return found if len(found) == content[start] else None


def transfers(log):
    """The transfers that a log stands for: (standard, id, value)."""
    topics, data = log["topics"], log["data"]
    if len(topics) == 3 and topics[0] == TRANSFER and len(data) == 66 and all(map(is_address, topics[1:])):
        return [("erc20", 0, int(data, 16))]
    if len(topics) == 4 and topics[0] == TRANSFER and data == "0x" and all(map(is_address, topics[1:3])):
        return [("erc721", int(topics[3], 16), 0)]
    if len(topics) == 4 and topics[0] == SINGLE and len(data) == 130 and all(map(is_address, topics[1:])):
        return [("erc1155", *words(data))]
    if len(topics) == 4 and topics[0] == BATCH and all(map(is_address, topics[1:])):
        ids, values = array(data, 0), array(data, 1)
        if ids is not None and values is not None and len(ids) == len(values):
            return [("erc1155", *pair) for pair in zip(ids, values)]
    return []


def sums(path, count=None):
    recorded = lines(path)
    names = [
        "rows.blocks", "rows.transactions", "rows.logs", "rows.withdrawals", "rows.erc20_transfers", "rows.erc721_transfers",
        "rows.erc1155_transfers", "block_gas_used", "block_transactions", "value", "gas", "gas_used", "withdrawn", "erc20_value",
        "erc721_ids", "erc1155_ids", "erc1155_value",
    ]
    total = dict.fromkeys(names, 0)
    for place in range(count or len(recorded)):
        line = recorded[place % len(recorded)]
        block, receipts = line["block"], line["receipts"]
        total["rows.blocks"] += 1
        total["rows.transactions"] += len(block["transactions"])
        total["block_transactions"] += len(block["transactions"])
        total["block_gas_used"] += number(block["gasUsed"])
        total["value"] += sum(number(entry["value"]) for entry in block["transactions"])
        total["gas"] += sum(number(entry["gas"]) for entry in block["transactions"])
        total["gas_used"] += sum(number(entry["gasUsed"]) for entry in receipts)
        total["rows.withdrawals"] += len(block.get("withdrawals") or [])
        total["withdrawn"] += sum(number(entry["amount"]) for entry in block.get("withdrawals") or [])
        for receipt in receipts:
            total["rows.logs"] += len(receipt["logs"])
            for log in receipt["logs"]:
                for standard, token, value in transfers(log):
                    total[f"rows.{standard}_transfers"] += 1
                    if standard != "erc721":
                        total[f"{standard}_value"] += value
                    if standard != "erc20":
                        total[f"{standard}_ids"] += token
    return {name: str(value) for name, value in total.items()}


def runs(path):
    result = []
    for line in sorted(lines(path), key=lambda line: line["number"]):
        if result and result[-1][1] + 1 == line["number"]:
            result[-1][1] += 1
        else:
            result.append([line["number"], line["number"]])
    return result


if __name__ == "__main__":
    if sys.argv[1] == "runs":
        print(json.dumps(runs(sys.argv[2])))
    else:
        print(json.dumps(sums(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None)))
