-- No other tables, but other contents: ledger.detail may say where a model had to run (inference_geo), and an entry of ledger.extras how
-- many tokens were written to a cache for an hour (cache_write_1h_tokens). Both count for a row's hash.
SELECT 1;
