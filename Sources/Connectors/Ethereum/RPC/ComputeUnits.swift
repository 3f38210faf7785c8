/// What JSON-RPC calls cost where a provider counts units (credits).
///
/// Providers differ, and change their prices: these are round weights in the proportions that large ones publish. They pace requests
/// where `compute_units_per_second` is set, and `sluice plan` reckons with them; no bill follows from them.
public enum ComputeUnits {
    /// One call of a method.
    public static func of(_ method: String) -> Int {
        switch method {
        case "eth_chainId": 0
        case "eth_getBlockByNumber", "eth_getBlockByHash": 16
        case "eth_getBlockReceipts", "eth_getBalance": 20
        case "eth_getTransactionReceipt": 15
        case "eth_getLogs": 75
        default: 20
        }
    }
}
