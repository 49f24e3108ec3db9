"""What a thing is: records, ids, Arrow schemas, the published dataset, manifests."""
