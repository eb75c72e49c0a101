// Everything that a program does with jsforce, against the address, user and password of the command line. Each step
// prints a line of JSON: its name, and what came of it.
const jsforce = require('jsforce');
const [url, username, password] = process.argv.slice(2);
const connection = new jsforce.Connection({ loginUrl: url, version: '59.0' });
const window = [new Date(Date.now() - 3600e3).toISOString(), new Date(Date.now() + 120e3).toISOString()];
const poll = { pollInterval: 10, pollTimeout: 30000 };
const kept = {};

const steps = {
  login: async () => (await connection.login(username, password)).id,
  identity: async () => (await connection.identity()).username,
  create: async () => (kept.id = (await connection.sobject('Account').create({ Name: 'js' })).id).slice(0, 3),
  createMany: async () =>
    (await connection.sobject('Contact').create([{ LastName: 'a', AccountId: kept.id }, { FirstName: 'b' }]))
      .map((each) => each.success),
  retrieve: async () => (await connection.sobject('Account').retrieve(kept.id)).Name,
  update: async () => (await connection.sobject('Account').update({ Id: kept.id, Phone: '1' })).success,
  upsert: async () =>
    (await connection.sobject('Lead').upsert({ LastName: 'x', Company: 'c', Crmsync_Id__c: 'js' }, 'Crmsync_Id__c'))
      .success,
  query: async () =>
    (await connection.query("SELECT Name, (SELECT LastName FROM Contacts) FROM Account WHERE Name = 'js'"))
      .records[0].Contacts.records.length,
  paging: async () => {
    const many = Array.from({ length: 200 }, (_, n) => ({ LastName: `p${n}`, Company: 'c' }));
    for (let n = 0; n < 2; n++) await connection.sobject('Lead').create(many);
    const asked = { autoFetch: true, maxFetch: 5000, headers: { 'Sforce-Query-Options': 'batchSize=200' } };
    return (await connection.query("SELECT Id FROM Lead WHERE Company = 'c'", asked)).records.length;
  },
  find: async () => (await connection.sobject('Account').find({ Name: 'js' }).limit(5).execute()).length,
  explain: async () => (await connection.query('SELECT Id FROM Account').explain()).plans[0].sobjectType,
  search: async () => (await connection.search('FIND {js} RETURNING Account(Id, Name)')).searchRecords.length,
  describe: async () => (await connection.sobject('Account').describe()).keyPrefix,
  describeGlobal: async () => (await connection.describeGlobal()).sobjects.some((each) => each.name === 'Contact'),
  layouts: async () => (await connection.sobject('Account').layouts()).layouts.length,
  updated: async () => (await connection.sobject('Account').updated(...window)).ids.includes(kept.id),
  bulk: async () =>
    (await connection.bulk.load('Contact', 'insert', [{ LastName: 'bulk1', Phone: '1' }, { LastName: '', Phone: '2' }]))
      .map((each) => each.success),
  bulkQuery: async () => {
    const stream = await connection.bulk.query("SELECT Id FROM Contact WHERE LastName LIKE 'bulk%'");
    return (await stream.toArray()).length;
  },
  bulk2: async () => {
    const input = [{ LastName: 'second1', Phone: '1' }, { LastName: '', Phone: '2' }];
    const found = await connection.bulk2.loadAndWaitForResults({ object: 'Contact', operation: 'insert', input, ...poll });
    return [found.successfulResults.length, found.failedResults.length, found.unprocessedRecords.length];
  },
  bulk2Query: async () => {
    const stream = await connection.bulk2.query("SELECT Id FROM Contact WHERE LastName LIKE 'second%'", poll);
    return (await stream.toArray()).length;
  },
  convertLead: async () => {
    const lead = await connection.sobject('Lead').create({ LastName: 'v', Company: 'v' });
    const asked = { leadId: lead.id, convertedStatus: 'Closed - Converted', doNotCreateOpportunity: true,
      overwriteLeadSource: false, sendNotificationEmail: false };
    return (await connection.soap.convertLead([asked]))[0].success;
  },
  merge: async () => {
    const made = await connection.sobject('Lead').create([1, 2, 3].map((n) => ({ LastName: `m${n}`, Company: 'm' })));
    const [masterRecord, ...rest] = made.map((each) => each.id);
    const asked = { masterRecord: { type: 'Lead', Id: masterRecord, LastName: 'm' }, recordToMergeIds: rest };
    return (await connection.soap.merge(asked)).mergedRecordIds.length;
  },
  listviews: async () => {
    const { listviews } = await connection.sobject('Account').listviews();
    return (await connection.sobject('Account').listview(listviews[0].id).results()).label;
  },
  tabs: async () => (await connection.tabs()).some((each) => each.sobjectName === 'Account'),
  destroy: async () => (await connection.sobject('Account').destroy(kept.id)).success,
  deleted: async () =>
    (await connection.sobject('Account').deleted(...window)).deletedRecords.some((each) => each.id === kept.id),
  malformed: async () => connection.query('SELECT').then(() => 'answered', (error) => error.errorCode),
  logout: async () => { await connection.logout(); return true; },
};

(async () => {
  for (const [name, step] of Object.entries(steps)) {
    const came = await step().catch((error) => `${error.name}: ${error.message}`);
    console.log(JSON.stringify([name, came]));
  }
})();
