"""Works out native balances from the blocks of a simulated chain, and holds them against the rows of account_balances.

    balances.py CHAIN.duckdb BALANCES.duckdb [ADDRESS...]

The first file holds blocks, transactions and withdrawals from the chain's first block on, of the register geth_block. Of addresses that are
named balances are expected at all blocks of the second file that have any; else of those that it holds.
"""
import json
import sys

import duckdb

WORD = 1 << 256
# What each account that sends, or is paid by the chain, has before the first block.
FUND = 10**24


def ledger(path):
    """For each block its hash, and what it moves."""
    chain = duckdb.connect(path, read_only=True)
    blocks, moves, funded = {}, {}, set()
    for number, hash, miner, base in chain.execute("SELECT number, hash, miner, base_fee_per_gas FROM blocks").fetchall():
        blocks[number] = (hash, miner, int(base))
        moves[number] = {}
        funded.add(miner)

    def move(number, address, amount):
        moves[number][address] = moves[number].get(address, 0) + amount

    columns = "block_number, from_address, to_address, receipt_contract_address, value, receipt_gas_used, receipt_effective_gas_price, \
        coalesce(receipt_blob_gas_used, 0) * coalesce(receipt_blob_gas_price, 0), receipt_status"
    for number, sender, receiver, contract, value, gas, price, blobs, status in chain.execute(
        f"SELECT {columns} FROM transactions"
    ).fetchall():
        funded.add(sender)
        move(number, sender, -(int(gas) * int(price) + int(blobs)))
        move(number, blocks[number][1], int(gas) * (int(price) - blocks[number][2]))
        if status == 1:
            move(number, sender, -int(value))
            move(number, receiver if receiver is not None else contract, int(value))
    for number, address, amount in chain.execute("SELECT block_number, address, amount FROM withdrawals").fetchall():
        funded.add(address)
        move(number, address, int(amount) * 10**9)
    return blocks, moves, funded


def main():
    blocks, moves, funded = ledger(sys.argv[1])
    found = {}
    rows = duckdb.connect(sys.argv[2], read_only=True).execute(
        "SELECT address, block_number, block_hash, balance FROM account_balances").fetchall()
    for address, number, hash, balance in rows:
        if (address, number) in found:
            raise SystemExit(f"two rows of {address.hex()} at {number}")
        if number not in blocks or blocks[number][0] != hash:
            raise SystemExit(f"a row of block {number} {hash.hex()}, which the chain does not have")
        found[address, number] = int(balance)
    addresses = [bytes.fromhex(text.removeprefix("0x")) for text in sys.argv[3:]]
    if addresses and {address for address, _ in found} != set(addresses):
        raise SystemExit("rows of other addresses than " + " ".join(sys.argv[3:]))
    addresses = addresses or sorted({address for address, _ in found})
    sampled = sorted({number for _, number in found})
    wrong, moved = [], set()
    for address in addresses:
        balance = FUND if address in funded else 0
        for number in sorted(blocks):
            change = moves[number].get(address, 0)
            balance = (balance + change) % WORD
            if number in sampled:
                if change:
                    moved.add(number)
                if sys.argv[3:] and (address, number) not in found:
                    wrong.append(f"no balance of {address.hex()} at {number}")
                elif (address, number) in found and found[address, number] != balance:
                    wrong.append(f"{address.hex()} has {found[address, number]} at {number}, not {balance}")
    print(json.dumps({
        "rows": len(found), "addresses": ["0x" + address.hex() for address in addresses], "blocks": sampled, "moving": len(moved),
        "wrong": wrong[:5]}))


main()
