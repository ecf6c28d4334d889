-- No other tables, but other contents: an entry of ledger.extras may say how many of its tokens were of images (input_image_tokens,
-- output_image_tokens). Both count for a row's hash.
SELECT 1;
